// The live view: lines as they are stored, over server-sent events.

import { get } from "./api.js";
import { byId, count, el } from "./dom.js";
import { filterForm, lineElement, needles, parameters, walkable } from "./lines.js";

/** Lines kept on the page; the oldest go. */
const LINES_MAX = 2_000;
const HISTORY = 100;
const RETRY_MS = 2_000;

let source = null;
let retry = null;
let active = false;
let paused = false;
let lastId = null;
let stick = true;
let waiting = [];
let frame = null;
let received = 0;
let generation = 0;

export function start() {
  filterForm(byId("live-form"), { withRange: false, action: "Apply", onchange: restart });
  const list = byId("live-list");
  walkable(list);
  list.addEventListener("scroll", () => { stick = list.scrollHeight - list.scrollTop - list.clientHeight < 40; });
  byId("live-pause").addEventListener("click", () => pause(!paused));
  byId("live-clear").addEventListener("click", () => { list.replaceChildren(); waiting = []; note(); });
}

export function show() {
  active = true;
  if (lastId === null) restart();
  else if (!paused) open();
}

export function hide() {
  active = false;
  close();
}

function pause(now) {
  paused = now;
  const button = byId("live-pause");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Resume" : "Pause";
  if (paused) close();
  else open();
  note();
}

/** Begins anew with the newest lines that match. */
async function restart() {
  close();
  generation += 1;
  const mine = generation;
  const wanted = parameters(byId("live-form"));
  waiting = [];
  received = 0;
  try {
    const { last_id } = await get("/api/v1/status");
    const { rows } = await get("/api/v1/logs", { ...wanted, limit: HISTORY, before_id: last_id + 1, order: "desc" });
    if (mine !== generation) return;
    lastId = last_id;
    byId("live-list").replaceChildren();
    stick = true;
    add(rows.reverse());
    if (active && !paused) open();
  } catch (error) {
    if (mine !== generation) return;
    note(error.message);
    retry = setTimeout(restart, RETRY_MS);
  }
}

function open() {
  close();
  const query = new URLSearchParams({ ...parameters(byId("live-form")), after_id: lastId });
  source = new EventSource(`/api/v1/tail?${query}`);
  const keep = (event) => { if (event.lastEventId) lastId = Number(event.lastEventId); };
  source.addEventListener("ready", () => note());
  source.addEventListener("position", keep);
  source.addEventListener("lines", (event) => {
    keep(event);
    const rows = JSON.parse(event.data);
    received += rows.length;
    add(rows);
  });
  source.addEventListener("lagged", (event) => {
    keep(event);
    const { missed } = JSON.parse(event.data);
    waiting.push(el("div", { class: "gap" }, `${count(missed)} lines came too fast to show; they are in the search`));
    schedule();
  });
  source.addEventListener("error", () => {
    // The browser's own retry would ask for lines after the first `after_id` where it has no id yet.
    close();
    note("connection lost, trying again …");
    retry = setTimeout(() => { if (active && !paused) open(); }, RETRY_MS);
  });
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function add(rows) {
  const wanted = parameters(byId("live-form"));
  const marks = needles(wanted);
  const narrow = (name, value) => {
    byId("live-form").elements[name].value = value;
    restart();
  };
  for (const row of rows) waiting.push(lineElement(row, marks, narrow));
  if (waiting.length > LINES_MAX) waiting = waiting.slice(-LINES_MAX);
  schedule();
}

/** One change of the page per frame, however fast lines come. */
function schedule() {
  if (frame !== null) return;
  frame = requestAnimationFrame(() => {
    frame = null;
    const list = byId("live-list");
    list.append(...waiting);
    waiting = [];
    while (list.childElementCount > LINES_MAX) list.firstElementChild.remove();
    if (stick) list.scrollTop = list.scrollHeight;
    note();
  });
}

function note(text) {
  const lines = byId("live-list").childElementCount;
  const state = paused ? "paused" : source ? "live" : "connecting …";
  const empty = lines ? "" : " — waiting for lines that match";
  byId("live-note").textContent = text ?? `${state}: ${count(lines)} lines shown, ${count(received)} arrived${empty}`;
}

export function focus() {
  byId("live-form").elements.query.focus();
}
