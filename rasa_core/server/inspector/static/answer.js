// Answering for an action that runs elsewhere: which slots it sets, what the bot says, or what went wrong.

import {fill, h, shown} from "./dom.js";
import {texts} from "./texts.js";

const t = texts.answer;
let fields = 0;

// A field for a slot of this type; reading it returns its value, or throws an error that says what is expected.
function field(slot, id) {
  const unset = h("option", {value: ""}, t.unset);
  if (slot.type === "bool") {
    const node = h("select", {id}, unset, h("option", {value: "true"}, t.yes), h("option", {value: "false"}, t.no));
    return {node, read: () => (node.value === "" ? null : node.value === "true")};
  }
  if (slot.type === "categorical" && slot.values?.length) {
    const node = h("select", {id}, unset, slot.values.map((one, index) => h("option", {value: String(index + 1)}, shown(one))));
    return {node, read: () => (node.value === "" ? null : slot.values[Number(node.value) - 1])};
  }
  if (slot.type === "float") {
    const node = h("input", {id, inputmode: "decimal", autocomplete: "off"});
    return {node, read: () => {
      const text = node.value.trim();
      if (text === "") return null;
      if (!Number.isFinite(Number(text))) throw new Error(t.bad(slot.name, t.number));
      return Number(text);
    }};
  }
  if (slot.type === "list") {
    const node = h("textarea", {id, rows: 3, placeholder: t.list});
    return {node, read: () => node.value.split("\n").map((one) => one.trim()).filter(Boolean)};
  }
  if (slot.type === "text") {
    const node = h("input", {id, autocomplete: "off"});
    return {node, read: () => (node.value === "" ? null : node.value)};
  }
  const node = h("textarea", {id, rows: 2, placeholder: t.json});
  return {node, read: () => {
    if (node.value.trim() === "") return null;
    try { return JSON.parse(node.value); } catch { throw new Error(t.bad(slot.name, t.json)); }
  }};
}

// `send` gets the events, and an error, null if there was none; `failed` shows what is wrong with a field.
export function answerForm(bot, waits, send, failed) {
  const rows = h("div", {class: "rows"});
  const chosen = [];
  const choice = h("select", {"aria-label": t.add});
  const says = h("input", {autocomplete: "off", id: "answer-says"});
  const offer = () => fill(choice, h("option", {value: ""}, t.choose),
    bot.slots.filter((slot) => !chosen.some((one) => one.slot.name === slot.name)).map((slot) => h("option", {value: slot.name}, `${shown(slot.name)} (${slot.type})`)));
  const add = (name) => {
    const slot = bot.slots.find((one) => one.name === name);
    if (!slot) return;
    fields += 1;
    const entry = {slot, ...field(slot, `answer-${fields}`)};
    chosen.push(entry);
    const line = h("div", {class: "row"}, h("label", {for: `answer-${fields}`}, shown(slot.name), h("span", {class: "dim"}, ` ${slot.type}`)), entry.node,
      h("button", {type: "button", class: "plain", onclick: () => { chosen.splice(chosen.indexOf(entry), 1); line.remove(); offer(); }}, t.remove));
    rows.append(line);
    offer();
  };
  choice.addEventListener("change", () => { add(choice.value); chosen.at(-1)?.node.focus(); });
  offer();
  for (const name of bot.actions.find((one) => one.name === waits.action)?.sets ?? []) add(name);
  const events = (read) => [
    ...(says.value ? [{event: "bot", text: says.value}] : []),
    ...chosen.map((one) => ({event: "slot", name: one.slot.name, value: read(one)})),
  ];
  const done = () => {
    try { send(events((one) => one.read()), null); } catch (error) { failed(error); }
  };
  const nothing = () => {
    send(events((one) => (one.slot.type === "list" ? [] : null)), null);
  };
  const reason = h("input", {id: "answer-reason", autocomplete: "off"});
  const trouble = h("form", {class: "row", hidden: true, onsubmit: (event) => { event.preventDefault(); send([], reason.value.trim() || t.failed); }},
    h("label", {for: "answer-reason"}, t.why), reason, h("button", {}, t.failed));
  return h("div", {class: "answer"}, h("p", {}, texts.talk.waitsFor(shown(waits.action))),
    waits.action.startsWith("validate_") ? h("p", {class: "dim"}, texts.talk.validates) : null, rows,
    h("div", {class: "row"}, choice), h("div", {class: "row"}, h("label", {for: "answer-says"}, t.says), says),
    h("div", {class: "buttons"}, h("button", {type: "button", class: "main", onclick: done}, t.done),
      h("button", {type: "button", title: t.nothingHelp, onclick: nothing}, t.nothing),
      h("button", {type: "button", onclick: () => { trouble.hidden = false; reason.focus(); }}, t.failed)), trouble);
}
