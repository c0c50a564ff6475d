// Elements from plain data. Texts become text nodes, never markup; nothing in these modules sets innerHTML.

const SVG = "http://www.w3.org/2000/svg";

function make(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") node[name] = value;
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);
export const fill = (node, ...children) => {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

// Control characters, and those that turn the direction of a whole line, as something that can be seen.
export const shown = (text) =>
  String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (one) => String.fromCharCode(one === "\u007f" ? 0x2421 : 0x2400 + one.charCodeAt(0)))
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (one) => `\u27e8U+${one.charCodeAt(0).toString(16).toUpperCase()}\u27e9`);

// What somebody wrote: kept apart from the text around it, in its own direction.
const LONGEST = 2000;
export function said(text, more) {
  const whole = shown(text ?? "");
  if (whole.length <= LONGEST) return h("bdi", {dir: "auto", class: "said"}, whole);
  const part = h("bdi", {dir: "auto", class: "said"}, whole.slice(0, LONGEST), "\u2026");
  const all = h("button", {type: "button", class: "plain", onclick: () => { fill(part, whole); all.remove(); }}, more(whole.length));
  return [part, " ", all];
}

export function json(value) {
  const text = value === undefined ? "" : JSON.stringify(value);
  return shown(text.length > 400 ? `${text.slice(0, 400)}\u2026` : text);
}

// A value for people: texts without their quotes.
export const plain = (value) => (typeof value === "string" ? (value.length > 400 ? `${shown(value.slice(0, 400))}\u2026` : shown(value)) : json(value));

// What an entity is, with its role and group.
export const kindOf = (entity) => [entity.entity, entity.role, entity.group].filter(Boolean).map(plain).join(", ");

export const percent = (number) => (number === null || number === undefined ? "\u2013" : `${Math.round(number * 100)}\u2009%`);

export function announce(text) {
  document.getElementById("live").textContent = text;
}

export const bar = (number, label) =>
  h("span", {class: "bar", ...(label === "" ? {"aria-hidden": "true"} : {role: "img", "aria-label": label ?? percent(number)})}, h("span", {style: {width: `${Math.round(Math.min(1, Math.max(0, number)) * 100)}%`}}));

export const debounced = (milliseconds, run) => {
  let timer = 0;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => run(...given), milliseconds); };
};

export const download = (name, text) => {
  const address = URL.createObjectURL(new Blob([text], {type: "text/plain"}));
  h("a", {href: address, download: name}).click();
  URL.revokeObjectURL(address);
};
