// One step in full: why it was taken, what taught it, and what it changed.

import {bar, fill, h, kindOf, percent, plain, shown} from "./dom.js";
import {slotTable} from "./steps.js";
import {texts} from "./texts.js";

const t = texts.why;
const MOST_SCORES = 5;

export function snippet(found) {
  const title = found.file ? `${found.file}:${found.line}${found.story ? ` \u201c${found.story}\u201d` : ""}` : found.place;
  const note = {"not here": t.notHere, changed: t.changed}[found.note] ?? found.note;
  return h("figure", {class: "snippet"}, h("figcaption", {}, shown(title)),
    found.lines.length ? h("pre", {tabindex: "0", "aria-label": title}, found.lines.map(([number, text]) =>
      h("span", {class: number === found.line ? "line it" : "line"}, h("span", {class: "number", "aria-hidden": "true"}, String(number)), shown(text)))) : null,
    note ? h("p", {class: "dim"}, shown(note)) : null);
}

const lesson = (one) => h("div", {class: "lesson"},
  h("p", {}, h("b", {}, shown(one.action)), h("span", {class: "dim"}, " ", t.times(one.count), one.similarity < 1 ? `, ${t.alike(percent(one.similarity))}` : "")),
  (one.snippets ?? []).map(snippet), one.more ? h("p", {class: "dim"}, t.more(one.more)) : null);

function scores(opinion) {
  const ranked = Object.entries(opinion.scores).filter(([, score]) => score > 0).sort(([, one], [, other]) => other - one);
  const line = ([name, score]) => h("tr", {}, h("th", {scope: "row"}, shown(name)), h("td", {class: "number"}, percent(score)), h("td", {}, bar(score, "")));
  return [h("table", {class: "scores"}, h("tbody", {}, ranked.slice(0, MOST_SCORES).map(line))),
    ranked.length > MOST_SCORES ? h("details", {}, h("summary", {}, `${t.allScores} (${ranked.length})`), h("table", {class: "scores"}, h("tbody", {}, ranked.map(line)))) : null];
}

function opinion(one, decided) {
  const lessons = one.lessons ?? [];
  return h("details", {class: "opinion", open: one.policy === decided},
    h("summary", {}, h("b", {}, shown(one.policy)), " ", one.action ? h("span", {}, `${shown(one.action)} \u00b7 ${percent(one.score)}`) : h("span", {class: "dim"}, t.silent)),
    one.action ? scores(one) : null,
    lessons.length ? [h("h4", {}, t.lessons), lessons.slice(0, 3).map(lesson)] : null,
    one.note ? h("p", {class: "dim"}, shown(one.note)) : null);
}

function miss(found) {
  if (!found || !found.changes.length) return null;
  return h("section", {}, h("h3", {}, t.miss),
    h("p", {}, (found.is_enough ? t.missSecond : t.missNot)(shown(found.action))),
    h("ul", {}, found.changes.map((one) => h("li", {}, h("bdi", {}, shown(one.text)), found.is_enough ? null : h("span", {class: "dim"}, ` (${percent(one.confidence)})`)))));
}

function decision(why) {
  const name = shown(why.action ?? "");
  const told = why.fixed_by ? t.fixed[why.fixed_by] : why.policy ? t.decided(shown(why.policy), percent(why.confidence)) : t.nobody;
  return [h("h2", {}, why.executed ? t.title(shown(why.executed)) : t.next(name)), h("p", {}, told),
    why.executed && why.action && why.executed !== why.action ? h("p", {class: "notice"}, t.differs(name, shown(why.executed))) : null,
    h("h3", {}, t.opinions), why.policies.map((one) => opinion(one, why.policy)), miss(why.nearest_miss)];
}

function message(event) {
  const parse = event.parse_data ?? {};
  const ranking = parse.intent_ranking?.length ? parse.intent_ranking : [parse.intent ?? {}];
  const entities = parse.entities ?? [];
  return [h("h2", {}, t.message), h("h3", {}, t.ranking),
    h("table", {class: "scores"}, h("tbody", {}, ranking.slice(0, 10).map((one) =>
      h("tr", {}, h("th", {scope: "row"}, shown(one.name ?? t.noIntent)), h("td", {class: "number"}, percent(one.confidence)), h("td", {}, bar(one.confidence ?? 0, "")))))),
    h("h3", {}, t.entities),
    entities.length ? h("table", {}, h("tbody", {}, entities.map((one) => h("tr", {}, h("th", {scope: "row"}, shown(kindOf(one))), h("td", {}, h("bdi", {dir: "auto"}, plain(one.value))), h("td", {class: "number"}, one.confidence === undefined ? "" : percent(one.confidence))))))
      : h("p", {class: "dim"}, t.noEntities)];
}

const changes = (step) => [h("h3", {}, t.changes), step.changed.length
  ? h("table", {class: "changes"}, h("thead", {}, h("tr", {}, ...[texts.talk.slot, texts.talk.before, texts.talk.after].map((one) => h("th", {scope: "col"}, one)))),
    h("tbody", {}, step.changed.map((one) => h("tr", {}, h("th", {scope: "row"}, shown(one.slot)), h("td", {class: "was"}, one.before === null ? texts.talk.nothing : h("bdi", {}, plain(one.before))), h("td", {}, one.after === null ? texts.talk.nothing : h("bdi", {}, plain(one.after)))))))
  : h("p", {class: "dim"}, t.noChange)];

// Show a step; `extra` holds what else can be done with it.
export function showStep(panel, step, events, extra = [], after = null) {
  const event = events[0];
  const head = step.why ? decision(step.why) : event?.event === "user" ? message(event) : [h("h2", {}, t.other)];
  fill(panel, h("section", {class: "card"}, extra, head, after, event ? changes(step) : null,
    h("details", {}, h("summary", {}, t.raw), h("pre", {class: "raw", tabindex: "0"}, events.map((one) => `${shown(JSON.stringify(one, null, 1)).slice(0, 20000)}\n`)))),
  slotTable(step.after.slots, texts.talk.slotsThen, step.after.active_loop));
}

