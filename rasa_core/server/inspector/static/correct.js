// Correcting a step, and saving what is right in the project's own files.

import {conversation, get, post} from "./api.js";
import {announce, fill, h, kindOf, plain, shown} from "./dom.js";
import {texts} from "./texts.js";

const t = texts.correct;

// -- an action

function actionForm(bot, why, send) {
  const score = (name) => Math.max(0, ...why.policies.map((one) => one.scores[name] ?? 0));
  const names = bot.actions.map((one) => one.name).sort((one, other) => score(other) - score(one));
  const select = h("select", {"aria-label": t.rightAction}, names.map((name) => h("option", {value: name}, shown(name))));
  return h("form", {class: "row correction", onsubmit: (event) => { event.preventDefault(); send({action: select.value}); }},
    select, h("button", {}, t.takeAction));
}

// -- a message: its intent, and which words are entities. Positions count characters as Python does.

function messageForm(bot, event, send) {
  const parse = event.parse_data ?? {};
  const text = event.text ?? parse.text ?? "";
  let entities = (parse.entities ?? []).map((one) => ({...one}));
  const ranking = (parse.intent_ranking ?? [parse.intent ?? {}]).map((one) => one.name);
  const names = [...bot.intents].sort((one, other) => (ranking.indexOf(one) + 1 || 999) - (ranking.indexOf(other) + 1 || 999));
  const intent = h("select", {"aria-label": t.rightIntent}, names.map((name) => h("option", {value: name, selected: name === parse.intent?.name}, shown(name))));
  const words = h("textarea", {readonly: true, rows: 2, value: text, "aria-label": t.words, dir: "auto"});
  const kind = h("input", {list: "entities", placeholder: t.entity, "aria-label": t.entity, autocomplete: "off"});
  const known = h("datalist", {id: "entities"}, bot.entities.map((one) => h("option", {value: typeof one === "string" ? one : Object.keys(one)[0]})));
  const list = h("ul", {class: "entities"});
  const show = () => fill(list, entities.map((one) => h("li", {}, h("b", {}, shown(kindOf(one))), ": ", h("bdi", {}, plain(one.value)), " ",
    h("button", {type: "button", class: "plain", onclick: () => { entities = entities.filter((other) => other !== one); show(); }}, t.remove))));
  const mark = () => {
    const {selectionStart: from, selectionEnd: to} = words;
    const name = kind.value.trim();
    if (from === to || !name) return announce(t.select);
    const start = Array.from(text.slice(0, from)).length;
    const value = text.slice(from, to);
    const end = start + Array.from(value).length;
    entities = [...entities.filter((one) => !(one.start < end && one.end > start)), {entity: name, value, start, end}];
    show();
  };
  show();
  return h("form", {class: "correction", onsubmit: (given) => { given.preventDefault(); send({intent: intent.value, entities}); }},
    h("div", {class: "row"}, h("span", {}, t.intentIs), intent), words, h("p", {class: "dim"}, t.select), list,
    h("div", {class: "row"}, kind, known, h("button", {type: "button", onclick: mark}, t.mark)),
    h("button", {class: "main"}, t.takeMessage));
}

export function correction(id, bot, step, event, say) {
  if (!event || !["user", "action"].includes(event.event)) return null;
  const send = async (right) => {
    try {
      const draft = await post(conversation(id, "correct"), {at: step.at, ...right}, false);
      location.hash = `#/talk/${encodeURIComponent(draft.sender_id)}?save=1`;
    } catch (error) {
      say(error);
    }
  };
  return h("details", {class: "correct"}, h("summary", {}, event.event === "user" ? t.message : t.action),
    h("p", {class: "dim"}, t.draft), event.event === "user" ? messageForm(bot, event, send) : actionForm(bot, step.why, send));
}

// -- saving

const LINES = {"+": "added", "-": "removed", "@": "place"};
const diffView = (edit) => h("figure", {class: "snippet"}, h("figcaption", {}, shown(edit.file)), h("pre", {tabindex: "0", class: "diff", "aria-label": edit.file},
  edit.diff.split("\n").slice(2).map((line) => h("span", {class: `line ${LINES[line[0]] ?? ""}`}, shown(line) || " "))));

const findingView = (one) => h("li", {class: one.severity === "error" ? "bad-text" : ""}, h("b", {}, t.severity[one.severity] ?? one.severity), ` ${shown(one.message)} `,
  h("span", {class: "dim"}, one.places.map((place) => shown(`${place.file}${place.line ? `:${place.line}` : ""}`)).join(", ")));

export function savePanel(id, say, isOpen) {
  const box = h("details", {class: "card save", open: isOpen});
  const body = h("div", {});
  const result = h("div", {class: "result"});
  fill(box, h("summary", {}, h("b", {}, t.save)), body, result);
  let offered = null;

  async function load() {
    try {
      offered = await get(conversation(id, "save"));
    } catch (error) {
      fill(body, h("p", {class: "dim"}, error.message));
      return;
    }
    if (!offered.kinds.length) {
      fill(body, h("p", {class: "dim"}, t.nothing));
      return;
    }
    const title = h("input", {value: offered.title, id: "save-title", maxlength: 200, autocomplete: "off"});
    const lines = offered.kinds.map((kind) => {
      const check = h("input", {type: "checkbox", checked: offered.proposed.includes(kind), id: `save-${kind}`});
      const file = h("select", {"aria-label": t.file}, offered.files[kind].map((name) => h("option", {value: name}, shown(name))));
      const replace = kind === "story" ? h("select", {"aria-label": t.where}) : null;
      const stories = () => replace && fill(replace, h("option", {value: ""}, t.append), (offered.stories[file.value] ?? []).map((name) => h("option", {value: name}, t.replace(shown(name)))));
      file.addEventListener("change", stories);
      stories();
      return {kind, check, file, replace, node: h("div", {class: "row"}, h("label", {for: `save-${kind}`}, check, ` ${t.kinds[kind]}`), file, replace)};
    });
    const wanted = () => lines.filter((one) => one.check.checked).map((one) => ({as: one.kind, file: one.file.value, title: title.value, ...(one.replace?.value ? {replace: one.replace.value} : {})}));
    const preview = async () => {
      if (!wanted().length) return;
      fill(result, h("p", {class: "busy"}, t.checking));
      try {
        show(await post(conversation(id, "save"), {save: wanted()}, false), wanted());
      } catch (error) {
        fill(result, h("p", {class: "bad-text", role: "alert"}, error.message));
      }
    };
    fill(body, offered.proposed.includes("rule") ? h("p", {class: "dim"}, t.ruleFits) : null, lines.map((one) => one.node),
      h("div", {class: "row"}, h("label", {for: "save-title", class: "short"}, t.title), title), h("button", {type: "button", onclick: preview}, t.preview));
  }

  function show(told, chosen) {
    const stamps = Object.fromEntries(told.edits.map((edit) => [edit.file, edit.stamp]));
    const hasErrors = told.findings.some((one) => one.severity === "error");
    const write = async () => {
      try {
        const done = await post(conversation(id, "save"), {save: chosen, write: true, stamps, despite_errors: hasErrors}, false);
        fill(result, h("p", {class: "chip good", role: "status"}, t.written(done.edits.map((edit) => edit.file).join(", "))), h("p", {}, h("a", {href: "#/prove"}, t.train)));
        load();
      } catch (error) {
        say(error);
        if (error.details?.edits) show(error.details, chosen);
      }
    };
    fill(result, told.edits.map(diffView), told.findings.length ? [h("h3", {}, t.findings), h("ul", {}, told.findings.map(findingView))] : h("p", {class: "dim"}, t.clean),
      h("button", {type: "button", class: hasErrors ? "" : "main", onclick: write}, hasErrors ? t.writeDespite : t.write));
  }

  // The files of the project are looked at when somebody wants to save, and then after each turn.
  const refresh = () => { if (box.open) load(); };
  box.addEventListener("toggle", refresh);
  return {node: box, load: refresh};
}
