// A conversation as rows: what the user said, what the bot did, and what changed, in their order.

import {bar, h, json, kindOf, percent, plain, said, shown} from "./dom.js";
import {texts} from "./texts.js";

const UNSURE = 0.5;
const LISTEN = "action_listen";
const QUIET = new Set(["user_featurization"]);
const t = texts.talk;

// Positions in what the interpreter returns count characters as Python does; JavaScript counts halves of some.
export function marked(text, entities) {
  const letters = Array.from(text ?? "");
  const found = entities
    .filter((one) => Number.isInteger(one.start) && Number.isInteger(one.end) && one.start < one.end && one.end <= letters.length)
    .sort((one, other) => one.start - other.start);
  const parts = [];
  let at = 0;
  for (const one of found) {
    if (one.start < at) continue;
    parts.push(shown(letters.slice(at, one.start).join("")));
    const value = letters.slice(one.start, one.end).join("");
    const label = value === one.value ? kindOf(one) : `${kindOf(one)}: ${plain(one.value)}`;
    parts.push(h("mark", {}, shown(value), h("span", {class: "entity"}, shown(label))));
    at = one.end;
  }
  if (!found.length || letters.length > 2000) return said(text, texts.showAll);
  return h("bdi", {dir: "auto", class: "said"}, ...parts, shown(letters.slice(at).join("")));
}

const time = (event) => (event.timestamp ? new Date(event.timestamp * 1000).toLocaleTimeString() : "");

const chip = (kind, ...content) => h("span", {class: `chip ${kind}`}, ...content);

function user(event) {
  const parse = event.parse_data ?? {};
  const intent = parse.intent ?? {};
  return [
    h("div", {class: "bubble user"}, h("span", {class: "unseen"}, t.user), marked(event.text ?? parse.text ?? "", parse.entities ?? [])),
    h("span", {class: "facts"}, chip("intent", shown(intent.name ?? texts.why.noIntent)), intent.confidence === undefined ? null : h("span", {}, percent(intent.confidence)), intent.confidence < UNSURE ? chip("warn", t.unsure) : null),
  ];
}

function action(event) {
  const name = event.name ?? event.action_text;
  const sure = event.confidence;
  const facts = [h("b", {}, name === LISTEN ? t.listens : shown(name))];
  if (sure !== undefined && sure !== null) facts.push(bar(sure), h("span", {}, percent(sure)));
  if (event.policy) facts.push(h("span", {class: "dim"}, shown(event.policy)));
  if (sure < UNSURE) facts.push(chip("warn", t.unsure));
  if (event.predicted && event.predicted !== name) facts.push(chip("warn", t.deviates(shown(event.predicted))));
  if (event.error) facts.push(chip("bad", `${t.error}: ${shown(event.error).slice(0, 300)}`));
  return [h("span", {class: `facts ${name === LISTEN ? "listen" : ""}`}, ...facts)];
}

function bot(event, kind) {
  const data = event.data ?? {};
  const buttons = (data.buttons ?? data.quick_replies ?? []).filter((one) => one && typeof one === "object");
  return [h("div", {class: `bubble ${kind}`},
    h("span", {class: "unseen"}, kind === "bot" ? t.bot : t.person),
    said(event.text ?? "", texts.showAll),
    buttons.length ? h("span", {class: "buttons"}, buttons.map((one) =>
      h("button", {type: "button", "data-payload": String(one.payload ?? one.title ?? "")}, shown(one.title ?? one.payload ?? "")))) : null,
    data.image ? h("span", {class: "dim"}, shown(data.image)) : null)];
}

const slot = (event) => [h("span", {class: "facts"}, chip("slot", h("bdi", {}, shown(event.name)), " = ", h("bdi", {}, event.value === null ? t.nothing : plain(event.value))))];

const rule = (text) => [h("span", {class: "rule"}, text)];

const RENDER = {
  user,
  action,
  bot: (event) => bot(event, "bot"),
  agent: (event) => bot(event, "person"),
  slot,
  restart: () => rule(t.restarted),
  followup: (event) => rule(event.name ? t.fixes(shown(event.name)) : t.frees),
  session_started: () => rule(t.session),
  active_loop: (event) => rule(event.name ? t.formBegins(shown(event.name)) : t.formEnds),
  loop_interrupted: (event) => rule(event.is_interrupted ? t.formInterrupted : t.formGoesOn),
  action_execution_rejected: (event) => rule(t.rejected(shown(event.name))),
  caller_action: (event) => rule((event.is_done ? t.partDone : t.partDue)(shown(event.name))),
  rewind: () => rule(t.rewound),
  undo: () => rule(t.undone),
  reset_slots: () => rule(t.cleared),
  pause: () => rule(t.falls),
  resume: () => rule(t.answers),
};

const other = (event) => {
  const {event: type, timestamp, metadata, ...rest} = event;
  return [h("span", {class: "facts dim"}, chip("", shown(type)), Object.keys(rest).length ? json(rest) : null)];
};

// One row; what can be explained is a button to those who use no mouse.
export function row(event, index, isTakenBack) {
  const kind = event.event;
  const node = h("li", {class: `step ${kind}`, "data-at": index, title: time(event)}, ...(RENDER[kind] ?? other)(event));
  if (kind === "user" || kind === "action") {
    node.tabIndex = 0;
    node.setAttribute("role", "button");
  }
  if (QUIET.has(kind)) node.classList.add("quiet");
  mark(node, isTakenBack);
  return node;
}

export function mark(node, isTakenBack) {
  if (node.classList.toggle("taken", isTakenBack)) node.setAttribute("aria-description", t.taken);
  else node.removeAttribute("aria-description");
}

export function slotTable(slots, title, loop) {
  const names = Object.keys(slots);
  return h("section", {class: "card"}, h("h2", {}, title),
    loop ? h("p", {}, `${t.loop}: `, h("b", {}, shown(loop))) : null,
    names.length ? h("table", {}, h("tbody", {}, names.map((name) =>
      h("tr", {}, h("th", {scope: "row"}, shown(name)), h("td", {class: slots[name] === null ? "dim" : ""}, slots[name] === null ? t.nothing : h("bdi", {dir: "auto"}, plain(slots[name])))))))
      : h("p", {class: "dim"}, t.noSlots));
}
