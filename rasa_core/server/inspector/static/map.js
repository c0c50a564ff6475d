// The stories as a map: click a step for its lines; a conversation is lit in it.

import {get} from "./api.js";
import {fill, h, percent, shown, svg} from "./dom.js";
import {texts} from "./texts.js";
import {snippet} from "./why.js";

const t = texts.map;
const STEPS = 1.25;
const PADDING = 16; // pixels at both sides of the map, as in app.css
const AGAIN = 3000; // milliseconds, where the server or its store does not answer

const curve = (points) => {
  const [first, ...rest] = points;
  let path = `M${first[0]} ${first[1]}`;
  for (let index = 0; index < rest.length; index += 1) {
    const [x, y] = rest[index];
    const [fromX, fromY] = points[index];
    const middle = (fromY + y) / 2;
    path += index % 2 ? `L${x} ${y}` : `C${fromX} ${middle} ${x} ${middle} ${x} ${y}`;
  }
  return path;
};

export async function open(view, {where, say}) {
  const stop = new AbortController();
  const panel = h("aside", {class: "panel"}, h("p", {class: "hint"}, t.pick));
  const name = h("input", {id: "map-conversation", value: where.id, autocomplete: "off", placeholder: t.none});
  const last = h("input", {id: "map-last", type: "number", min: 0, max: 10000, value: where.query.get("last") ?? "1000"});
  const told = h("p", {class: "dim", role: "status"});
  const box = h("div", {class: "map-box", tabindex: "0", "aria-label": texts.views.map});
  let scale = 1;
  let drawing = null;
  let size = [0, 0];
  const room = () => box.clientWidth - PADDING;
  const zoom = (factor) => {
    scale = Math.min(4, Math.max(0.05, scale * factor));
    drawing?.setAttribute("width", size[0] * scale);
    drawing?.setAttribute("height", size[1] * scale);
  };
  fill(view, h("div", {class: "columns"}, h("div", {class: "talk"},
    h("form", {class: "bar-top", onsubmit: (event) => { event.preventDefault(); load(); }},
      h("label", {for: "map-conversation"}, t.conversation), name, h("label", {for: "map-last"}, t.last), last, h("button", {}, t.show),
      h("span", {class: "pair"}, h("button", {type: "button", "aria-label": t.closer, onclick: () => zoom(STEPS)}, "+"), h("button", {type: "button", "aria-label": t.further, onclick: () => zoom(1 / STEPS)}, "\u2212"),
      h("button", {type: "button", onclick: () => zoom(Math.min(1, room() / (size[0] * scale || 1)))}, t.whole))), told, box), panel));

  async function choose(node) {
    fill(panel, h("section", {class: "card"}, h("h2", {}, shown(node.name)), node.visits === undefined ? null : h("p", {}, t.visits(node.visits)), h("p", {class: "dim"}, t.stories(node.stories))));
    for (const place of node.places.slice(0, 5)) {
      try {
        panel.firstChild.append(snippet(await get(`inspector/map/lines?place=${encodeURIComponent(place)}`, stop.signal)));
      } catch (error) {
        if (error.name !== "AbortError") say(error);
        return;
      }
    }
  }

  function draw(found) {
    const visits = found.coverage?.visits ?? {};
    const most = Math.max(1, ...Object.values(visits));
    const lit = new Set((found.way ?? []).filter((number) => number !== null));
    const steps = new Set((found.way ?? []).map((number, index) => `${index ? found.way[index - 1] : 0}-${number}`));
    size = [Math.max(found.width, 1), Math.max(found.height, 1)];
    const edges = found.edges.map((edge) => svg("g", {class: steps.has(`${edge.from}-${edge.to}`) ? "edge lit" : "edge"}, svg("path", {d: curve(edge.points)}),
      edge.label ? svg("text", {x: edge.at[0], y: edge.at[1] + 4}, shown(edge.label)) : null));
    const nodes = found.nodes.map((node, number) => {
      const count = visits[number];
      const group = svg("g", {class: `node ${node.kind} ${lit.has(number) ? "lit" : ""} ${found.coverage && !count && number ? "never" : ""}`, tabindex: "0", role: "button", "aria-label": `${node.name}${count ? `, ${t.visits(count)}` : ""}`},
        svg("rect", {x: node.x - node.width / 2, y: node.y - node.height / 2, width: node.width, height: node.height, rx: 9}),
        count ? svg("rect", {class: "visits", x: node.x - node.width / 2, y: node.y + node.height / 2 - 4, width: Math.max(3, node.width * count / most), height: 4, rx: 2}) : null,
        svg("text", {x: node.x, y: node.y + 4}, shown(node.name)));
      const pick = () => choose({...node, visits: found.coverage ? count ?? 0 : undefined});
      group.addEventListener("click", pick);
      group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } });
      return group;
    });
    drawing = svg("svg", {viewBox: `0 0 ${size[0]} ${size[1]}`, class: "map"}, edges, nodes);
    fill(box, drawing);
    scale = 1;
    zoom(Math.min(1, Math.max(0.7, room() / size[0])));
    const shownFirst = [...lit].pop() ?? 0;
    box.scrollLeft = found.nodes[shownFirst].x * scale - box.clientWidth / 2;
    const parts = [t.size(found.nodes.length - 1)];
    if (found.grouped) parts.push(t.grouped);
    if (found.left_out) parts.push(t.leftOut(found.left_out));
    if (found.coverage) parts.push(t.coverage(found.coverage.inside, found.coverage.conversations, percent(found.coverage.inside / Math.max(1, found.coverage.conversations))));
    if (found.coverage?.left_out) parts.push(t.unread(found.coverage.left_out));
    if (found.way?.includes(null)) parts.push(t.leaves);
    told.textContent = parts.join(" ");
  }

  async function load() {
    const query = new URLSearchParams({...(name.value ? {conversation: name.value} : {}), ...(Number(last.value) ? {last: last.value} : {})});
    try {
      told.textContent = texts.loading;
      draw(await get(`inspector/map?${query}`, stop.signal));
      say(null);
    } catch (error) {
      if (error.name === "AbortError") return;
      told.textContent = "";
      say(error);
      if (error.status === 0 || error.status === 503) setTimeout(() => { if (!stop.signal.aborted) load(); }, AGAIN);
    }
  }

  await load();
  return () => stop.abort();
}
