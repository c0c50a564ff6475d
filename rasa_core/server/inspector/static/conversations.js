// The conversations of the store, those that need a person first.

import {conversation, get, put} from "./api.js";
import {announce, bar, debounced, fill, h, percent, shown} from "./dom.js";
import {texts} from "./texts.js";

const t = texts.conversations;
const PAGE = 50;
const AGAIN = 3000; // milliseconds
const KINDS = ["failed", "paused", "fallback", "deviates", "unsure"];
const DONE = ["no", "yes", "all"];

const when = (seconds) => new Date(seconds * 1000).toLocaleString([], {dateStyle: "medium", timeStyle: "short"});

// Where to look first: at the worst of what is wrong.
const link = (one) => {
  const at = KINDS.map((kind) => one.problems[kind]).find((position) => position !== undefined);
  return `#/talk/${encodeURIComponent(one.sender_id)}${at === undefined ? "" : `?at=${at}`}`;
};

// What somebody notes about a conversation; `changed` gets the mark that was stored.
export function noteForm(id, mark, changed, say) {
  const note = h("textarea", {rows: 2, value: mark.note, "aria-label": t.note, placeholder: t.note});
  const tags = h("input", {value: mark.tags.join(", "), "aria-label": t.tags, placeholder: t.tags, autocomplete: "off"});
  const send = async (reviewed) => {
    const list = [...new Set(tags.value.split(",").map((one) => one.trim()).filter(Boolean))];
    try {
      changed(await put(conversation(id, "review"), {reviewed, note: note.value, tags: list}));
      announce(reviewed ? t.reviewed : t.saved);
    } catch (error) {
      say(error);
    }
  };
  return h("div", {class: "note"}, note, tags, h("div", {class: "buttons"},
    mark.is_current ? h("button", {type: "button", onclick: () => send(false)}, t.again) : h("button", {type: "button", class: "main", onclick: () => send(true)}, t.done),
    h("button", {type: "button", onclick: () => send(mark.is_current)}, t.save)));
}

export async function open(view, {where, say}) {
  const stop = new AbortController();
  let offset = 0;
  let last = "";
  const only = new Set((where.query.get("only") ?? "").split(",").filter(Boolean));
  let done = where.query.get("reviewed") ?? "no";
  const search = h("input", {type: "search", id: "search", value: where.query.get("search") ?? "", autocomplete: "off", spellcheck: "false", placeholder: t.placeholder, "aria-describedby": "search-help"});
  const below = h("input", {type: "number", id: "below", min: 0, max: 1, step: 0.05, value: where.query.get("below") ?? "0.5"});
  const filters = h("div", {class: "filters", role: "group", "aria-label": t.only}, KINDS.map((kind) =>
    h("label", {class: "filter", title: t.kinds[kind].help}, h("input", {type: "checkbox", checked: only.has(kind), onchange: (event) => { event.target.checked ? only.add(kind) : only.delete(kind); offset = 0; load(); }}), t.kinds[kind].name)));
  const which = h("select", {id: "which", onchange: () => { done = which.value; offset = 0; load(); }}, DONE.map((one) => h("option", {value: one, selected: one === done}, t.which[one])));
  const count = h("p", {class: "dim", role: "status"});
  const list = h("ol", {class: "queue"});
  const pages = h("div", {class: "buttons pages"});
  fill(view, h("div", {class: "card"}, h("form", {class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); offset = 0; load(); }},
    h("label", {for: "search"}, t.search), search, h("span", {class: "pair"}, h("label", {for: "which"}, t.show), which)),
  h("p", {id: "search-help", class: "dim"}, t.help), h("div", {class: "search"}, filters, h("span", {class: "pair"}, h("label", {for: "below"}, t.below), below))), count, list, pages);

  const row = (one) => {
    const chips = KINDS.filter((kind) => one.problems[kind] !== undefined).map((kind) => h("span", {class: `chip ${kind === "unsure" ? "warn" : "bad"}`}, t.kinds[kind].name, kind === "unsure" ? ` ${percent(one.confidence)}` : ""));
    const tags = one.tags.map((tag) => h("span", {class: "chip slot"}, shown(tag)));
    const mark = {note: one.note ?? "", tags: one.tags, is_current: one.reviewed};
    return h("li", {class: "card item", "data-id": one.sender_id},
      h("div", {class: "item-head"}, h("a", {href: link(one)}, h("bdi", {}, shown(one.sender_id))), chips, one.reviewed ? h("span", {class: "chip good"}, t.reviewed) : null, tags,
        h("span", {class: "dim when"}, when(one.updated), " \u00b7 ", t.messages(one.messages))),
      h("p", {class: "said-first"}, h("bdi", {dir: "auto"}, shown(one.first)), one.last !== one.first ? [h("span", {class: "dim"}, " \u2026 "), h("bdi", {dir: "auto"}, shown(one.last))] : null),
      h("div", {class: "item-foot"}, bar(one.confidence, `${t.sure} ${percent(one.confidence)}`), h("span", {class: "dim"}, t.lowest(percent(one.confidence))),
        h("details", {class: "notes"}, h("summary", {}, one.note ? h("bdi", {}, shown(one.note.slice(0, 120))) : t.noteIt), noteForm(one.sender_id, mark, () => load(), say))));
  };

  async function load(isQuiet = false) {
    const parts = [search.value, only.size ? `only:${[...only].join(",")}` : "", done === "all" ? "" : `reviewed:${done}`];
    const query = new URLSearchParams({search: parts.filter(Boolean).join(" "), below: below.value || "0.5", limit: PAGE, offset});
    const kept = new URLSearchParams(Object.entries({search: search.value, only: [...only].join(","), reviewed: done, below: below.value}).filter(([, value]) => value));
    if (stop.signal.aborted || !location.hash.startsWith("#/conversations")) return; // Somebody has gone on.
    history.replaceState(null, "", `#/conversations?${kept}`);
    try {
      const found = await get(`inspector/queue?${query}`, stop.signal);
      say(null);
      const told = JSON.stringify(found);
      if (told === last) return;
      if (isQuiet && list.contains(document.activeElement) && document.activeElement.matches("input, textarea")) return; // Somebody writes.
      last = told;
      count.textContent = t.found(found.count, found.indexed, found.total);
      fill(list, found.conversations.length ? found.conversations.map(row) : h("li", {class: "empty"}, found.total ? t.none : t.empty));
      fill(pages, offset ? h("button", {type: "button", onclick: () => { offset -= PAGE; load(); scrollTo(0, 0); }}, t.newer) : null,
        found.count > offset + PAGE ? h("button", {type: "button", onclick: () => { offset += PAGE; load(); scrollTo(0, 0); }}, t.older) : null);
    } catch (error) {
      if (error.name !== "AbortError") say(error);
    }
  }

  search.addEventListener("input", debounced(250, () => { offset = 0; load(); }));
  below.addEventListener("input", debounced(250, () => { offset = 0; load(); }));
  await load();
  const timer = setInterval(() => { if (!document.hidden) load(true); }, AGAIN);
  return () => { stop.abort(); clearInterval(timer); };
}
