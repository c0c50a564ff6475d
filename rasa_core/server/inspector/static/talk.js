// Talking to the bot: what is said on the left, why on the right.

import {answerForm} from "./answer.js";
import {conversation, get, post} from "./api.js";
import {correction, savePanel} from "./correct.js";
import {noteForm} from "./conversations.js";
import {announce, debounced, fill, h, shown} from "./dom.js";
import {mark, row, slotTable} from "./steps.js";
import {texts} from "./texts.js";
import {showStep} from "./why.js";

const t = texts.talk;
const WAIT = 15; // seconds, for news
const PAUSE = 700; // milliseconds, where the server does not let us wait
const freshName = () => `inspector-${Date.now().toString(36)}`;
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export async function open(view, {bot, where, say}) {
  const id = where.id || freshName();
  if (!where.id) history.replaceState(null, "", `#/talk/${encodeURIComponent(id)}`);
  const stop = new AbortController();
  const isDraft = id.includes(" \u2192 ");
  let state = {events: [], origin: 0, version: -1, waits: {for: "message"}, slots: {}};
  let at = null; // How many events are shown; null for all.
  let chosen = null;
  let isSending = false;
  let unsent = ""; // What somebody has written, and the server did not take.

  // -- the parts of the view

  const list = h("ol", {class: "steps", "aria-label": texts.views.talk});
  const empty = h("p", {class: "empty"}, t.empty);
  const panel = h("aside", {class: "panel", "aria-label": texts.why.message});
  const foot = h("div", {class: "foot"});
  const status = h("span", {class: "live-state"}, t.live);
  const when = h("output", {for: "time"});
  const slider = h("input", {type: "range", id: "time", min: 0, max: 0, value: 0, "aria-label": t.time});
  const now = h("button", {type: "button", class: "plain", hidden: true, onclick: () => travel(null)}, t.now);
  const name = h("input", {id: "with", value: id, autocomplete: "off", spellcheck: "false"});
  const button = (label, help, run) => h("button", {type: "button", title: help, onclick: () => act(run)}, label);
  const undo = button(t.undo, t.undoHelp, () => post(conversation(id, "tracker/events"), [{event: "rewind"}]));
  const restart = button(t.restart, t.restartHelp, () => post(conversation(id, "tracker/events"), [{event: "restart"}]));
  const fork = h("button", {type: "button", title: t.forkHelp, onclick: () => forkHere()}, t.fork);
  const bar = h("div", {class: "bar-top"},
    h("form", {class: "with", onsubmit: (event) => { event.preventDefault(); if (name.value) location.hash = `#/talk/${encodeURIComponent(name.value)}`; }},
      h("label", {for: "with"}, t.with), name, h("button", {}, t.open),
      h("a", {class: "button", href: `#/talk/${encodeURIComponent(freshName())}`}, t.fresh)),
    h("div", {class: "tools"}, undo, restart, fork, h("a", {class: "button", href: `#/map/${encodeURIComponent(id)}`}, t.onMap), status),
    h("div", {class: "time"}, slider, when, now));
  const talk = h("div", {class: "talk"}, bar, h("div", {class: "scroll", tabindex: "-1"}, empty, list), foot);
  fill(view, h("div", {class: "columns"}, talk, panel));
  const scroll = talk.querySelector(".scroll");

  const review = h("section", {class: "card"});
  async function showReview(mark) {
    const kept = mark ?? await get(conversation(id, "review"), stop.signal).catch(() => null);
    if (kept) fill(review, h("h2", {}, texts.conversations.title), noteForm(id, kept, showReview, say));
  }
  showReview();
  const saving = savePanel(id, say, where.query.has("save"));

  // -- showing

  function showAll(from) {
    const taken = new Set(state.taken_back);
    if (from === 0) fill(list);
    list.append(...state.events.slice(from).map((event, index) => row(event, from + index, taken.has(from + index))));
    for (const node of list.children) mark(node, taken.has(Number(node.dataset.at)));
    empty.hidden = state.events.some((event) => event.event !== "action" || event.name !== "action_listen");
    slider.max = state.events.length;
    showTime();
    showFoot();
    showPanel();
  }

  const toTheEnd = () => requestAnimationFrame(() => { scroll.scrollTop = scroll.scrollHeight; });

  function showTime() {
    const count = state.events.length;
    const shownCount = at ?? count;
    slider.value = shownCount;
    const last = state.events[shownCount - 1];
    when.textContent = t.at(shownCount, count, last?.timestamp ? new Date(last.timestamp * 1000).toLocaleString() : "");
    now.hidden = at === null;
    talk.classList.toggle("past", at !== null);
    for (const node of list.children) node.classList.toggle("later", Number(node.dataset.at) >= shownCount);
  }

  const choose = (index) => { chosen = index; for (const node of list.children) node.toggleAttribute("data-chosen", Number(node.dataset.at) === index); showPanel(); };

  const showPanel = debounced(60, async () => {
    const position = chosen ?? at;
    if (position === null) {
      if (panel.contains(document.activeElement) && document.activeElement.matches("textarea, input")) return; // Somebody writes.
      fill(panel, h("p", {class: "hint"}, t.pick), where.query.has("save") ? saving.node : null, slotTable(state.slots, t.slotsNow),
        where.query.has("save") ? null : saving.node, state.version > 0 ? review : null);
      return;
    }
    try {
      const step = await get(conversation(id, `step?at=${position}`), stop.signal);
      if (position !== (chosen ?? at)) return;
      const back = h("button", {type: "button", class: "plain close", onclick: () => { if (chosen === null) travel(null); choose(null); }}, texts.close);
      showStep(panel, step, state.events.slice(position, step.end), [back], correction(id, bot, step, state.events[position], say));
      panel.scrollTop = 0;
      if (chosen !== null && matchMedia("(max-width: 900px)").matches) panel.scrollIntoView({block: "start"});
    } catch (error) {
      if (error.name !== "AbortError") say(error);
    }
  });

  function travel(position) {
    at = position === state.events.length ? null : position;
    chosen = null;
    showTime();
    showPanel();
    showFoot();
    if (at !== null) list.children[at - 1]?.scrollIntoView({block: "nearest"});
  }

  function showFoot() {
    fork.disabled = state.events.length === 0;
    undo.disabled = isSending || at !== null || !state.events.some((event) => event.event === "user");
    restart.disabled = isSending || at !== null || state.events.length === 0;
    foot.hidden = at !== null;
    const asked = JSON.stringify([isSending, state.waits, state.waits.for === "message" ? 0 : state.version]);
    if (foot.dataset.asked === asked) { // What somebody has typed stays.
      if (at === null && chosen === null) toTheEnd();
      return;
    }
    foot.dataset.asked = asked;
    if (isSending) fill(foot, h("p", {class: "busy", role: "status"}, t.sending));
    else if (state.waits.for === "resume") fill(foot, h("p", {}, t.paused), h("button", {type: "button", class: "main", onclick: () => act(() => post(conversation(id, "tracker/events"), [{event: "resume"}]))}, t.resume));
    else if (state.waits.for === "action") fill(foot, answerForm(bot, state.waits, report, say));
    else if (state.waits.for === "continue") fill(foot, goOnForm());
    else fill(foot, composer());
    if (at === null && chosen === null) toTheEnd();
  }

  // -- doing

  function composer() {
    const input = h("input", {id: "message", value: unsent, autocomplete: "off", placeholder: t.hint(bot.understands_text), "aria-label": t.write, dir: "auto"});
    const sendIt = (text) => act(() => post(conversation(id, "say"), {text}), () => { unsent = text; });
    unsent = "";
    const form = h("form", {class: "composer", onsubmit: (event) => { event.preventDefault(); if (input.value) sendIt(input.value); }},
      input, h("button", {class: "main"}, t.send));
    if (document.activeElement === document.body || foot.contains(document.activeElement)) setTimeout(() => input.focus({preventScroll: true}));
    return form;
  }

  // In a copy that is being corrected, a person decides what the bot is unsure of.
  function goOnForm() {
    const go = (events) => act(() => post(conversation(id, "act"), {events, only_if_sure: isDraft}));
    const next = state.waits.action;
    const onlyWaits = next === "action_listen";
    const go_on = h("button", {type: "button", class: isDraft ? "" : "main", onclick: () => act(() => post(conversation(id, "act")))}, onlyWaits ? t.onlyWait : t.goOn(shown(next)));
    if (!isDraft) return go_on;
    const select = h("select", {"aria-label": texts.correct.rightAction, required: true}, h("option", {value: ""}, t.chooseNext),
      bot.actions.filter((one) => !onlyWaits || one.name !== next).map((one) => h("option", {value: one.name}, one.name === "action_listen" ? t.listens : shown(one.name))));
    if (!onlyWaits) select.value = "action_listen";
    const intent = state.events.findLast((event) => event.event === "user")?.parse_data?.intent?.name;
    const told = onlyWaits ? t.noStory(shown(intent ?? texts.why.noIntent)) : t.unsureNext(shown(next));
    return h("div", {class: "answer"}, h("p", {role: "status"}, told), h("form", {class: "row", onsubmit: (event) => { event.preventDefault(); go([{event: "followup", name: select.value}]); }},
      select, h("button", {class: "main"}, texts.correct.takeAction), go_on));
  }

  const report = (events, error) => act(() => post(conversation(id, "act"), {action: state.waits.action, events, only_if_sure: isDraft, ...(error ? {error} : {})}));

  async function act(run, undone = () => {}) {
    if (isSending) return;
    isSending = true;
    showFoot();
    try {
      await run();
      say(null);
      await refresh(0);
    } catch (error) {
      say(error);
      isSending = false;
      undone();
      showFoot();
      return;
    }
    isSending = false;
    showFoot();
    foot.querySelector("input, select, textarea, button")?.focus({preventScroll: true});
  }

  async function forkHere() {
    const to = prompt(t.forkName, `${id}-${Date.now().toString(36)}`);
    if (!to) return;
    try {
      await post(conversation(id, "fork"), {at: at ?? chosen ?? state.events.length, to}, false);
      location.hash = `#/talk/${encodeURIComponent(to)}`;
    } catch (error) {
      say(error);
    }
  }

  // -- news, whoever they come from

  async function refresh(seconds) {
    const known = state.events.length;
    const after = seconds ? `&after=${state.version}&wait=${seconds}` : "";
    const told = await get(conversation(id, `timeline?from=${known}${after}`), stop.signal);
    if (known !== state.events.length) return false; // Another request was quicker.
    if (told.origin !== state.origin || told.count < known) {
      const whole = await get(conversation(id, "timeline"), stop.signal);
      state = whole;
      showAll(0);
      return true;
    }
    if (told.version === state.version) return false;
    const isFirst = state.version === -1;
    state = {...told, events: [...state.events, ...told.events]};
    showAll(known);
    if (!isFirst) saving.load();
    if (!isFirst) for (const event of told.events) if (event.event === "bot") announce(`${t.bot}: ${shown(event.text ?? "").slice(0, 500)}`);
    return true;
  }

  async function follow() {
    let pause = 0;
    let isTold = false;
    while (!stop.signal.aborted) {
      try {
        const started = Date.now();
        const news = document.hidden ? (await sleep(500), false) : await refresh(state.version === -1 ? 0 : WAIT);
        if (isTold) say(null);
        isTold = false;
        pause = !news && Date.now() - started < PAUSE ? PAUSE : 0;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error.status) say(error);
        isTold ||= Boolean(error.status);
        pause = Math.min(4000, 2 * pause + 500);
      }
      if (pause) await sleep(pause);
    }
  }

  addEventListener("connection", (event) => {
    status.textContent = event.detail ? t.live : t.offline;
    status.classList.toggle("off", !event.detail);
  }, {signal: stop.signal});

  // -- hands

  slider.addEventListener("input", () => travel(Number(slider.value)));
  list.addEventListener("click", (event) => {
    const payload = event.target.dataset?.payload;
    if (payload !== undefined) return void act(() => post(conversation(id, "say"), {text: payload}));
    if (event.target.closest("button")) return;
    const node = event.target.closest("[role=button]");
    if (node) choose(Number(node.dataset.at));
  });
  list.addEventListener("keydown", (event) => {
    const node = event.target.closest?.("[role=button]");
    if (node !== event.target) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(Number(node.dataset.at));
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const all = [...list.querySelectorAll("[role=button]")];
      all[all.indexOf(node) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    } else if (event.key === "Escape") choose(null);
  });
  const wanted = where.query.get("at");
  follow();
  if (/^[0-9]+$/.test(wanted ?? "")) {
    const until = Date.now() + 3000;
    while (state.version === -1 && Date.now() < until) await sleep(20);
    choose(Number(wanted));
    list.children[Number(wanted)]?.scrollIntoView({block: "center"});
  }
  return () => stop.abort();
}

