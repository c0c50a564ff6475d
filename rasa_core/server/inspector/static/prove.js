// Training a model, proving what it does better and worse, serving it, going back.

import {get, post, remove} from "./api.js";
import {announce, fill, h, shown} from "./dom.js";
import {texts} from "./texts.js";

const t = texts.prove;
const LOOK = 700; // milliseconds
const FEW = 5;
const VERDICTS = ["worse", "better", "changed"];

const link = (one) => h("a", {href: `#/talk/${encodeURIComponent(one.sender_id)}?at=${one.at}`}, h("bdi", {}, shown(one.sender_id)));

function examples(change) {
  const first = change.examples.slice(0, FEW).map((one) => [link(one), " "]);
  const rest = change.examples.slice(FEW);
  return [first, rest.length ? h("details", {}, h("summary", {}, `+${change.count - FEW}`), rest.map((one) => [link(one), " "])) : null];
}

const changeTable = (changes, isAfter = true) => {
  const cell = (head, ...content) => h("td", {"data-head": head}, ...content); // Narrow pages show it before the content.
  return h("div", {class: "wide-table"}, h("table", {},
    h("thead", {}, h("tr", {}, [...(isAfter ? [t.intent] : []), t.before, t.after, t.how, t.count, t.where].map((one) => h("th", {scope: "col"}, one)))),
    h("tbody", {}, changes.map((one) => h("tr", {}, isAfter ? cell(t.intent, shown(one.intent)) : null, cell(t.before, shown(one.before)), cell(t.after, h("b", {}, shown(one.after))),
      cell(t.how, h("span", {class: `chip ${{worse: "bad", better: "good"}[one.verdict] ?? ""}`, title: t.verdicts[one.verdict]}, t[one.verdict])),
      h("td", {class: "number", "data-head": t.count}, t.times(one.count)), cell(t.where, examples(one)))))));
};

const storyList = (title, names, open) => {
  if (!names.length) return null;
  const times = new Map();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return h("details", {open}, h("summary", {}, `${title} ${names.length}`),
    h("ul", {}, [...times].slice(0, 50).map(([name, count]) => h("li", {}, shown(name), count > 1 ? h("span", {class: "dim"}, ` \u00d7 ${count}`) : null))));
};

function comparisonView(found) {
  if (found.state === "failed") return h("p", {class: "bad-text", role: "alert"}, shown(found.error));
  if (found.state === "comparing") return h("p", {class: "busy", role: "status"}, t.comparing(found.done, found.count));
  return [h("div", {class: "counts"}, VERDICTS.map((one) => h("div", {class: `count ${found[one] ? one : ""}`, title: t.verdicts[one]}, h("b", {}, String(found[one])), t[one])),
    found.stories.map((one) => h("div", {class: `count ${one.broken.length ? "worse" : ""}`}, h("b", {}, `${one.total - one.failing}/${one.total}`), t.stories[one.name] ?? one.name))),
  h("p", {class: "dim"}, t.summary(found.conversations, found.decisions)),
  found.stories.map((one) => [storyList(`${t.stories[one.name] ?? one.name}: ${t.broken}`, one.broken, true), storyList(`${t.stories[one.name] ?? one.name}: ${t.mended}`, one.mended, false)]),
  found.changes.length ? changeTable(found.changes) : h("p", {}, t.same),
  found.understood.length ? [h("h3", {}, t.understood), changeTable(found.understood, false)] : null,
  found.entities?.length ? [h("h3", {}, t.entities), changeTable(found.entities)] : null];
}

export async function open(view, {say, reload}) {
  const stop = new AbortController();
  const status = h("p", {role: "status"});
  const log = h("pre", {class: "log", tabindex: "0", "aria-label": t.log});
  const train = h("button", {type: "button", class: "main", onclick: () => run(() => post("inspector/candidate", {}, false))}, t.start);
  const discard = h("button", {type: "button", onclick: () => run(() => remove("inspector/candidate"))}, t.discard);
  const last = h("input", {type: "number", id: "last", min: 0, max: 100000, value: 1000});
  const compare = h("button", {type: "button", class: "main", onclick: () => run(() => post("inspector/candidate/compare", {last: Number(last.value)}, false))}, t.compare);
  const result = h("div", {class: "comparison"});
  const serve = h("button", {type: "button", class: "main", onclick: () => run(async () => { const done = await post("inspector/candidate/serve", {}, false); announce(t.served(done.serves)); reload(); })}, t.serve);
  const proof = h("section", {class: "card full", hidden: true}, h("h2", {}, t.prove), h("div", {class: "row"}, compare, last, h("label", {for: "last"}, t.last)), result, h("div", {class: "buttons"}, serve, discard));
  const models = h("ul", {class: "models"});
  fill(view, h("div", {class: "prove"},
    h("section", {class: "card"}, h("h2", {}, t.train), h("p", {class: "dim"}, t.about), h("div", {class: "row"}, train, status), log),
    h("section", {class: "card"}, h("h2", {}, t.models), models), proof));
  let lines = 0;
  let shownComparison = "";
  let timer = 0;

  async function run(what) {
    try {
      await what();
      say(null);
    } catch (error) {
      say(error);
    }
    look();
  }

  async function look() {
    clearTimeout(timer);
    if (stop.signal.aborted) return;
    try {
      const found = await get(`inspector/candidate?from=${lines}`, stop.signal);
      if (found.lines < lines) {
        lines = 0;
        fill(log);
        return void look();
      }
      show(found);
      const isBusy = found.state === "training" || found.comparison?.state === "comparing" || found.log.length >= 500;
      timer = setTimeout(look, isBusy ? LOOK : 4 * LOOK);
    } catch (error) {
      if (error.name === "AbortError") return;
      say(error);
      timer = setTimeout(look, 5 * LOOK);
    }
  }

  function show(found) {
    lines += found.log.length;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.append(...found.log.map((line) => `${shown(line)}\n`));
    if (isAtEnd) log.scrollTop = log.scrollHeight;
    log.hidden = !lines;
    const told = `${t.states[found.state]}${found.seconds === null ? "" : ` ${t.seconds(found.seconds)}`}${found.progress ? `, ${t.progress(found.progress)}` : ""}`;
    if (status.textContent !== told) status.textContent = told;
    status.className = found.state === "training" ? "busy" : found.state === "failed" ? "bad-text" : "";
    train.textContent = found.state === "none" ? t.start : t.again;
    train.disabled = found.state === "training";
    proof.hidden = found.state === "none";
    compare.disabled = found.state !== "trained" || found.comparison?.state === "comparing";
    serve.disabled = found.state !== "trained";
    serve.hidden = found.state !== "trained";
    const now = JSON.stringify(found.comparison);
    if (now !== shownComparison) {
      shownComparison = now;
      fill(result, found.comparison ? comparisonView(found.comparison) : null);
    }
  }

  async function listModels() {
    try {
      const found = await get("inspector/models", stop.signal);
      fill(models, found.models.length ? found.models.map((one) => h("li", {}, h("b", {}, shown(one.name)), one.current ? h("span", {class: "chip good"}, t.isServing) : null,
        h("span", {class: "dim"}, `${t.made} ${one.made}`, one.changed.length ? ` \u00b7 ${t.changedFiles}: ${one.changed.join(", ")}` : ""),
        one.current ? null : h("button", {type: "button", onclick: () => run(async () => { const done = await post("inspector/models", {name: one.name}, false); announce(t.served(done.serves)); reload(); })}, t.use)))
        : h("li", {class: "dim"}, t.none));
    } catch (error) {
      if (error.name !== "AbortError") say(error);
    }
  }

  await Promise.all([look(), listModels()]);
  return () => { stop.abort(); clearTimeout(timer); };
}
