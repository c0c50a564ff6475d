// The page: which view is shown, and what all views share.

import {Failure, get, keepToken} from "./api.js";
import {announce, fill, h} from "./dom.js";
import {texts} from "./texts.js";

const VIEWS = {
  talk: () => import("./talk.js"),
  conversations: () => import("./conversations.js"),
  prove: () => import("./prove.js"),
  map: () => import("./map.js"),
};
const view = document.getElementById("view");
const notice = document.getElementById("notice");
let leave = () => {};
let shownView = "";
let bot = null;

export const place = () => {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const [first] = name.split("?");
  const [path] = rest.join("/").split("?");
  const query = location.hash.split("?")[1] ?? "";
  let id = path ?? "";
  try { id = decodeURIComponent(id); } catch { /* An address that somebody typed: the name is taken as it is. */ }
  return {name: Object.hasOwn(VIEWS, first) ? first : "talk", id, query: new URLSearchParams(query)};
};

export function say(problem) {
  notice.hidden = !problem;
  fill(notice, problem ? [h("span", {}, String(problem.message ?? problem)), h("button", {type: "button", class: "plain", onclick: () => say(null)}, texts.close)] : []);
}

function askForToken(wrong) {
  const input = h("input", {type: "password", autocomplete: "current-password", id: "token", required: true});
  const form = h("form", {class: "card narrow", onsubmit: (event) => { event.preventDefault(); keepToken(input.value.trim()); open(true); }},
    h("p", {}, wrong ? texts.token.wrong : texts.token.ask),
    h("label", {for: "token"}, texts.token.label), input, h("button", {class: "main"}, texts.token.send));
  fill(view, form);
  input.focus();
}

function tabs(current) {
  fill(document.getElementById("tabs"), Object.keys(VIEWS).map((name) =>
    h("a", {href: `#/${name}`, "aria-current": name === current ? "page" : null}, texts.views[name])));
}

async function open(again = false) {
  const where = place();
  tabs(where.name);
  try {
    bot ??= await get("inspector/bot");
  } catch (error) {
    if (error instanceof Failure && error.status === 401) return askForToken(again);
    say(error);
    setTimeout(() => open(again), 2000);
    return;
  }
  say(null);
  document.getElementById("bot-name").textContent = bot.project ?? texts.title;
  document.title = `${texts.views[where.name]} \u00b7 ${bot.project ?? texts.title}`;
  const module = await VIEWS[where.name]();
  leave();
  leave = () => {};
  fill(view);
  leave = (await module.open(view, {bot, where, say, reload: () => { bot = null; open(); }})) ?? (() => {});
  if (shownView && shownView !== where.name) {
    view.focus({preventScroll: true});
    announce(texts.views[where.name]);
  }
  shownView = where.name;
}

addEventListener("hashchange", () => open());
open();
