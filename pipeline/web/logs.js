// The search view: filters in the address, pages of lines, older ones on demand.

import { get } from "./api.js";
import { byId, count } from "./dom.js";
import { fill, filterForm, lineElement, needles, parameters, walkable } from "./lines.js";

const PAGE = 200;
/** Lines kept on the page. */
const LINES_MAX = 10_000;

let running = null;
let next = null;
let shown = 0;
let searched = "";

export function start() {
  const form = byId("logs-form");
  filterForm(form, { withRange: true, action: "Search", onchange: go });
  byId("logs-more").addEventListener("click", () => load(parameters(form), true));
  walkable(byId("logs-list"));
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && next && !running) load(parameters(form), true);
  }, { rootMargin: "400px" }).observe(byId("logs-more"));
}

/** The address is the search: going back goes to the search before. */
function go(wanted) {
  const query = new URLSearchParams(wanted).toString();
  const address = query ? `#/logs?${query}` : "#/logs";
  if (location.hash === address) show(new URLSearchParams(query), true);
  else location.hash = address;
}

export function show(query, again = false) {
  const wanted = Object.fromEntries(query);
  const key = query.toString();
  if (!again && key === searched && shown) return;
  searched = key;
  fill(byId("logs-form"), wanted);
  load(parameters(byId("logs-form")), false);
}

export function hide() {
  running?.abort();
  running = null;
}

async function load(wanted, older) {
  running?.abort();
  running = new AbortController();
  const mine = running;
  const [list, note, more] = [byId("logs-list"), byId("logs-note"), byId("logs-more")];
  if (!older) {
    next = null;
    shown = 0;
    note.textContent = "searching …";
  }
  try {
    const answer = await get("/api/v1/logs", { ...wanted, limit: PAGE, cursor: older ? next : undefined }, mine.signal);
    const marks = needles(wanted);
    const narrow = (name, value) => go({ ...parameters(byId("logs-form")), [name]: value });
    const lines = answer.rows.map((row) => lineElement(row, marks, narrow));
    if (older) list.append(...lines);
    else list.replaceChildren(...lines);
    shown += lines.length;
    next = shown < LINES_MAX ? answer.next : null;
    note.textContent = describe(answer);
    more.hidden = !next;
    more.textContent = answer.complete ? "Older lines" : "Search on";
  } catch (error) {
    if (error.name === "AbortError") return;
    note.textContent = error.message;
    if (!older) list.replaceChildren();
    more.hidden = true;
  } finally {
    if (running === mine) running = null;
  }
}

function describe(answer) {
  if (!shown && !answer.next) return "No line matches.";
  const lines = `${count(shown)}${answer.next ? "+" : ""} ${shown === 1 ? "line" : "lines"}`;
  const looked = answer.scanned > answer.rows.length ? `, looked at ${count(answer.scanned)}` : "";
  const rest = answer.complete ? "" : "; not all was searched yet";
  const end = answer.next && shown >= LINES_MAX ? "; narrow the search to see more" : "";
  return `${lines}${looked} in ${answer.took_ms} ms${rest}${end}`;
}

export function focus() {
  byId("logs-form").elements.query.focus();
}
