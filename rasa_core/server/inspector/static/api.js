// Requests to the server that sent this page. A change carries a key, so that sending it again does it once.

import {texts} from "./texts.js";

const TRIES = 4;
let token = "";
try { token = sessionStorage.getItem("token") ?? ""; } catch { /* Storage is off: the token is asked for again. */ }

const given = new URLSearchParams(location.search).get("token");
if (given) {
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.hash);
}

export function keepToken(text) {
  token = text;
  try { sessionStorage.setItem("token", text); } catch { /* As above. */ }
}

export class Failure extends Error {
  constructor(message, status, details = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const key = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");

async function once(path, options) {
  const headers = {Accept: "application/json", ...options.headers};
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(new URL(path.replace(/^\//, ""), document.baseURI.split(/[?#]/)[0]), {...options, headers, cache: "no-store"});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    dispatchEvent(new CustomEvent("connection", {detail: false}));
    throw new Failure(texts.noAnswer, 0);
  }
  dispatchEvent(new CustomEvent("connection", {detail: answer.status !== 503})); // As where the store does not answer.
  const text = await answer.text();
  let content = {};
  try { content = text ? JSON.parse(text) : {}; } catch { throw new Failure(texts.noJson(answer.status), answer.status); }
  if (!answer.ok) throw new Failure(content.error ?? texts.failed(answer.status), answer.status, content);
  return content;
}

export const get = (path, signal) => once(path, {signal});

async function change(method, path, body, repeatable) {
  const headers = {"Content-Type": "application/json"};
  if (repeatable) headers["Idempotency-Key"] = key();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
    } catch (error) {
      const passing = error.status === 0 || error.status === 503;
      if (!repeatable || !passing || attempt >= TRIES) throw error;
      await wait(300 * 2 ** attempt);
    }
  }
}

export const post = (path, body = {}, repeatable = true) => change("POST", path, body, repeatable);
export const put = (path, body = {}) => change("PUT", path, body, true);
export const remove = (path) => change("DELETE", path, undefined, false);
export const conversation = (id, what) => `conversations/${encodeURIComponent(id)}/${what}`;
