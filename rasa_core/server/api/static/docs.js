// The routes of /openapi.json for people, each with a form that sends a request. Texts become text nodes, never markup.

const MOST_SHOWN = 200_000;
const DEEPEST = 6;
const MOST_NAMES = 60;

let api = {};
let token = "";
try { token = sessionStorage.getItem("token") ?? ""; } catch { /* Storage is off: the token is typed again. */ }

// -- elements from plain data

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const byId = (id) => document.getElementById(id);
const address = (path) => new URL(path.replace(/^\//, ""), document.baseURI.split(/[?#]/)[0]);
const headersWith = (more) => (token ? {...more, Authorization: `Bearer ${token}`} : more);
const pretty = (value) => JSON.stringify(value, null, 2);

// -- schemas

const named = (reference) => reference.slice(reference.lastIndexOf("/") + 1);

function resolved(part) {
  let found = part ?? {};
  for (let step = 0; found.$ref && step < 9; step += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
  }
  return found;
}

const asList = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

// What a schema is in a few words: "text", "list of Event", "number or null".
function kindOf(schema) {
  if (schema === false) return "nothing";
  if (schema === true || !schema) return "anything";
  if (schema.$ref) return named(schema.$ref);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.length > 4 ? `one of ${schema.enum.length}` : schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (schema.anyOf?.length > 4) return `one of ${schema.anyOf.length} kinds`;
  if (schema.anyOf && !schema.type) return [...new Set(schema.anyOf.map(kindOf))].join(" or ");
  const words = {string: "text", integer: "whole number", number: "number", boolean: "true or false", object: "object", null: "null"};
  const kinds = asList(schema.type).map((type) => (type === "array" ? `list of ${kindOf(schema.items)}` : words[type]));
  return kinds.join(" or ") || "anything";
}

const range = (low, high, what) => (low === undefined && high === undefined ? null : [low !== undefined && `from ${low}`, high !== undefined && `to ${high}`, what].filter(Boolean).join(" "));

// The bounds of a value in words; what a pattern means, its description says.
const boundsOf = (schema) => [
  range(schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum, ""),
  range(schema.minLength, schema.maxLength, "characters"),
  range(schema.minItems, schema.maxItems, "parts"),
  schema.default !== undefined && `${JSON.stringify(schema.default)} if it is missing`,
  schema.format === "date-time" && "a date and time",
].filter(Boolean).join(", ");

// The keys of an object as a table; what they refer to opens below.
function schemaTable(schema, depth = 0, needed = "needed") {
  const found = resolved(schema);
  const parts = [];
  if (found.description && depth === 0) parts.push(h("p", {class: "dim"}, found.description));
  if (found.properties) parts.push(h("table", {class: "keys"}, h("tbody", {}, Object.entries(found.properties).map(([name, one]) => {
    const isNeeded = (found.required ?? []).includes(name);
    const target = resolved(one);
    const about = one.description ?? target.description;
    return h("tr", {}, h("th", {scope: "row"}, h("code", {}, name), isNeeded && h("span", {class: needed === "needed" ? "needed" : "dim"}, ` ${needed}`)),
      h("td", {}, h("span", {class: "kind"}, kindOf(one)), about && h("span", {}, ` ${about}`), boundsOf(target) && h("span", {class: "dim"}, ` (${boundsOf(target)})`), inner(one, depth, needed)));
  }))));
  else parts.push(h("p", {}, h("span", {class: "kind"}, kindOf(found)), boundsOf(found) && h("span", {class: "dim"}, ` (${boundsOf(found)})`), inner(found, depth, needed)));
  if (found.enum && found.enum.length > 4) parts.push(namesIn(found.enum));
  return h("div", {class: "schema"}, parts);
}

const namesIn = (names) => h("p", {class: "names"}, names.slice(0, MOST_NAMES).map((name) => [h("code", {}, String(name)), " "]), names.length > MOST_NAMES && `and ${names.length - MOST_NAMES} more`);

function below(schema) {
  const found = resolved(schema);
  if (found.anyOf && !found.properties) return found.anyOf.filter((one) => one.$ref);
  if (found.items && (found.items.$ref || found.items.properties || found.items.anyOf)) return [found.items];
  return schema.$ref && (found.properties || (found.enum && found.enum.length > 4)) ? [schema] : [];
}

function inner(schema, depth, needed) {
  if (!schema || depth > DEEPEST) return null;
  const parts = below(schema);
  if (!schema.$ref && schema.properties && depth > 0) return schemaTable(schema, depth + 1, needed);
  return parts.map((part) => {
    const target = resolved(part);
    const box = h("details", {}, h("summary", {}, part.$ref ? target.title ?? named(part.$ref) : kindOf(part)));
    box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(target.description ? h("p", {class: "dim"}, target.description) : "", schemaTable(part, depth + 1, needed)); });
    return box;
  });
}

// A value that fits a schema, for whoever wants to try a request.
function example(schema, depth = 0) {
  const found = resolved(schema);
  if (found.examples?.length) return found.examples[0];
  if ("const" in found) return found.const;
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum.find((one) => one !== null && !/^action_(listen|restart)$/.test(one)) ?? found.enum[0];
  if (depth > DEEPEST) return null;
  if (found.properties) {
    const needed = new Set([...(found.required ?? []), ...(found.anyOf?.[0]?.required ?? [])]);
    const chosen = Object.entries(found.properties).filter(([name]) => (needed.size ? needed.has(name) : depth === 0));
    return Object.fromEntries(chosen.map(([name, one]) => [name, example(one, depth + 1)]));
  }
  if (found.anyOf) return example(found.anyOf[0], depth + 1);
  const [type] = asList(found.type);
  if (type === "array") return (found.minItems ?? 0) > 0 ? [example(found.items, depth + 1)] : [];
  return {string: found.format === "date-time" ? "2030-01-01T12:00:00+02:00" : "text", integer: found.minimum ?? 0, number: found.minimum ?? 0, boolean: false, object: {}}[type] ?? null;
}

// -- one route

const described = (parameter) => {
  const found = resolved(parameter);
  return {...found, kind: kindOf(found.schema), bounds: boundsOf(resolved(found.schema))};
};

function parametersTable(parameters) {
  if (!parameters.length) return null;
  const places = {path: "in the path", query: "in the URL", header: "a header"};
  return [h("h4", {}, "Parameters"), h("table", {class: "keys"}, h("tbody", {}, parameters.map((one) => h("tr", {},
    h("th", {scope: "row"}, h("code", {}, one.name), one.required && h("span", {class: "needed"}, " needed")),
    h("td", {}, h("span", {class: "kind"}, `${one.kind}, ${places[one.in]}`), ` ${one.description ?? ""}`, one.bounds && h("span", {class: "dim"}, ` (${one.bounds})`))))))];
}

const isError = (content) => content.schema.$ref === "#/components/schemas/Error";

function answersTable(responses) {
  return [h("h4", {}, "Answers"), h("table", {class: "answers"}, h("tbody", {}, Object.entries(responses).map(([status, given]) => {
    const answer = resolved(given);
    const box = h("div", {});
    for (const [type, content] of Object.entries(answer.content ?? {})) {
      if (!isError(content)) box.append(opening(`${type}: ${kindOf(content.schema)}`, content.schema));
    }
    return h("tr", {}, h("th", {scope: "row", class: status < 400 ? "good" : "bad"}, status), h("td", {}, answer.description, box));
  }))), opening("What an error holds", {$ref: "#/components/schemas/Error"})];
}

function opening(title, schema) {
  const box = h("details", {}, h("summary", {}, title));
  box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(schemaTable(schema, 0, "always")); });
  return box;
}

function field(id, one) {
  const target = resolved(one.schema);
  const value = one.in === "path" ? one.example ?? "" : one.required ? String(example(one.schema) ?? "") : "";
  const common = {id, name: one.name, "data-in": one.in, required: one.required};
  const box = target.enum
    ? h("select", common, !one.required && h("option", {value: ""}, ""), target.enum.map((name) => h("option", {value: name}, String(name))))
    : h("input", {...common, value, autocomplete: "off", spellcheck: "false"});
  return h("div", {class: "field"}, h("label", {for: id}, one.name), box);
}

function tryIt(method, path, operation, parameters) {
  const id = operation.operationId;
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const isFile = type === "multipart/form-data";
  const body = type && !isFile && h("textarea", {id: `${id}-body`, rows: 8, spellcheck: "false", value: type === "application/json" ? pretty(example(content.schema)) : ""});
  const file = isFile && h("input", {type: "file", id: `${id}-body`});
  const result = h("div", {class: "result", role: "status"});
  const send = h("button", {type: "submit", class: "main"}, `Send ${method}`);
  const form = h("form", {class: "try"}, parameters.map((one) => field(`${id}-${one.in}-${one.name}`, one)),
    type && h("div", {class: "field wide"}, h("label", {for: `${id}-body`}, isFile ? "The file" : `The body, ${type}`), body || file), h("div", {}, send), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    try { await ask(method, path, form, type, isFile ? file.files[0] : body ? body.value : undefined, result); }
    finally { send.disabled = false; }
  });
  return h("details", {class: "trying"}, h("summary", {}, "Try it"), form);
}

async function ask(method, path, form, type, content, result) {
  const headers = {};
  let filled = path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("[data-in]")) {
    if (input.dataset.in === "path") filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E")));
    else if (!input.value) continue;
    else if (input.dataset.in === "query") query.append(input.name, input.value);
    else headers[input.name] = input.value;
  }
  let body;
  if (type === "multipart/form-data") { body = new FormData(); if (content) body.append("model", content); }
  else if (type) { headers["Content-Type"] = type; body = content; }
  const url = address(filled);
  url.search = query.toString();
  const started = performance.now();
  let answer, text;
  try {
    answer = await fetch(url, {method, headers: headersWith(headers), body, cache: "no-store"});
    text = await answer.text();
  } catch (error) {
    result.replaceChildren(h("p", {class: "bad"}, `The request could not be sent: ${error.message}.`));
    return;
  }
  show(result, answer, text, Math.round(performance.now() - started), curl(method, url, headers, type, content));
}

function show(result, answer, text, milliseconds, command) {
  let shown = text;
  if ((answer.headers.get("Content-Type") ?? "").startsWith("application/json")) { try { shown = pretty(JSON.parse(text)); } catch { /* As it came. */ } }
  if (shown.length > MOST_SHOWN) shown = `${shown.slice(0, MOST_SHOWN)}\u2026`;
  const kept = ["ETag", "Retry-After", "Allow", "Content-Type"].filter((name) => answer.headers.get(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
  result.replaceChildren(h("p", {}, h("b", {class: answer.ok ? "good" : "bad"}, `${answer.status} ${answer.statusText}`), ` ${milliseconds}\u2009ms`),
    h("p", {class: "dim"}, kept.join(", ")), h("pre", {tabindex: "0"}, shown), h("details", {}, h("summary", {}, "The same with curl"), h("pre", {tabindex: "0"}, command)));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(method, url, headers, type, content) {
  const parts = [`curl -X ${method} ${quoted(url.href)}`, ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`)];
  if (token) parts.push('-H "Authorization: Bearer $RASA_CORE_TOKEN"');
  if (type === "multipart/form-data") parts.push("-F model=@model.zip");
  else if (type) parts.push(`--data-raw ${quoted(content)}`);
  return parts.join(" \\\n  ");
}

function bodyShown(requestBody) {
  const [type, content] = Object.entries(requestBody.content)[0];
  return [h("h4", {}, `Body, ${type}`), schemaTable(content.schema)];
}

function route(path, method, operation, aliases) {
  const box = h("details", {class: "route", id: operation.operationId}, h("summary", {},
    h("span", {class: `method ${method}`}, method.toUpperCase()), h("code", {class: "path"}, ...path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")])), h("span", {class: "summary"}, operation.summary)));
  const fillIt = () => {
    if (!box.open || box.children.length > 1) return;
    const parameters = (operation.parameters ?? []).map(described);
    box.append(h("div", {class: "inside"},
      operation.description && h("p", {}, operation.description),
      aliases.map((alias) => h("p", {class: "dim"}, "Also at ", h("code", {}, alias))),
      parametersTable(parameters), operation.requestBody && bodyShown(operation.requestBody),
      answersTable(operation.responses), tryIt(method.toUpperCase(), path, operation, parameters)));
  };
  box.addEventListener("toggle", () => { fillIt(); if (box.open) history.replaceState(null, "", `#${box.id}`); });
  return box;
}

// -- all of them

function draw() {
  const main = byId("routes");
  const contents = byId("contents");
  const routes = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({path, method, operation})));
  const aliases = routes.filter((one) => one.operation["x-alias-of"]);
  const known = routes.filter((one) => !one.operation["x-alias-of"]);
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  main.replaceChildren(h("p", {class: "dim"}, api.info.description, " The same for programs: ", h("a", {href: "openapi.json"}, "openapi.json"), "."));
  contents.replaceChildren();
  for (const tag of api.tags) {
    const own = known.filter((one) => one.operation.tags.includes(tag.name));
    main.append(h("section", {id: `tag-${tag.name}`}, h("h2", {}, tag.name), h("p", {class: "dim"}, tag.description),
      own.map((one) => route(one.path, one.method, one.operation, aliases.filter((alias) => alias.operation["x-alias-of"] === one.path && alias.method === one.method).map((alias) => alias.path)))));
    contents.append(h("a", {href: `#tag-${tag.name}`}, tag.name, " ", h("span", {class: "dim"}, own.length)));
  }
  openNamed();
}

function openNamed() {
  const wanted = byId(decodeURIComponent(location.hash.slice(1)));
  if (wanted?.classList.contains("route")) wanted.open = true;
  wanted?.scrollIntoView();
}

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("main section")) {
    let count = 0;
    for (const box of section.querySelectorAll(".route")) {
      const text = box.querySelector("summary").textContent.toLowerCase();
      box.hidden = !words.every((word) => text.includes(word));
      count += box.hidden ? 0 : 1;
    }
    section.hidden = count === 0;
  }
}

async function load() {
  const notice = h("p", {id: "notice", role: "status"}, "Loading\u2026");
  byId("routes").replaceChildren(notice);
  try {
    const answer = await fetch(address("openapi.json"), {headers: headersWith({Accept: "application/json"})});
    const content = await answer.json();
    byId("access").classList.toggle("wanted", answer.status === 401);
    if (!answer.ok) {
      notice.textContent = answer.status === 401 ? "This server asks for a token: type it above." : content.error;
      if (answer.status === 401) byId("token").focus();
      return;
    }
    api = content;
  } catch (error) {
    notice.textContent = `The server does not answer: ${error.message}.`;
    return;
  }
  byId("access").hidden = !api.components.securitySchemes;
  draw();
}

byId("token").value = token;
byId("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  try { sessionStorage.setItem("token", token); } catch { /* As above. */ }
  load();
});
byId("find").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", filter);
addEventListener("hashchange", openNamed);
load();
