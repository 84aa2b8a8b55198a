// Counters, health, consumer lag and unparsed lines.

import { get } from "./api.js";
import { byId, bytes, clock, count, el, seconds, short } from "./dom.js";

const REFRESH_MS = 2_000;
const COLUMNS = [
  ["topic", "Topic", ""], ["partition", "Partition", "num"], ["lag", "Lag", "num"], ["lag_seconds", "Behind", "num"],
  ["stored_offset", "Stored", "num"], ["end_offset", "End", "num"], ["assigned", "Assigned here", ""], ["stored_at", "Last stored", ""],
];

let before = null;
let lagActive = false;
let order = { column: "topic", down: false };
let lagRows = [];

export function start() {
  poll();
}

export function showLag() {
  lagActive = true;
  refreshLag();
  refreshUnparsed();
}

export function hideLag() {
  lagActive = false;
}

async function poll() {
  if (!document.hidden) {
    try {
      const status = await get("/api/v1/status");
      writeCounters(status);
      writeHealth(status);
      if (lagActive) await refreshLag();
    } catch (error) {
      setHealth("bad", error.message);
    }
  }
  setTimeout(poll, REFRESH_MS);
}

function writeCounters(status) {
  const span = before ? (status.now - before.now) / 1000 : 0;
  const speed = (name) => {
    const grown = span > 0 ? (status[name] - before[name]) / span : 0;
    return grown > 0 ? `${short(grown)}/s` : "";
  };
  const counters = [
    ["Log lines", count(status.lines), speed("lines")],
    ["Metrics", count(status.metrics), speed("metrics")],
    ["Values", count(status.points), ""],
    ["Unparsed", count(status.unparsed), "", status.unparsed > 0],
    ["Repeats dropped", count(status.repeats + status.metric_repeats), ""],
    ["Store", bytes(status.store.bytes), ""],
  ];
  if (status.lost > 0) counters.push(["Lost before reading", count(status.lost), "", true]);
  byId("counters").replaceChildren(...counters.map(([name, value, extra, alert]) =>
    el("div", { class: alert ? "alert" : "" }, el("dt", {}, name), el("dd", {}, value, el("small", {}, extra)))));
  before = status;
  const badge = byId("lag-badge");
  badge.hidden = !status.source.lag;
  badge.textContent = short(status.source.lag);
}

function writeHealth(status) {
  const trouble = status.store.failed ?? status.source.stopped ?? status.store.waiting ?? status.source.trouble;
  if (!status.healthy) setHealth("bad", "stopped", trouble);
  else if (trouble) setHealth("waiting", "waiting", trouble);
  else if (!status.source.partitions) setHealth("waiting", "no partitions yet");
  else setHealth("ok", "running");
}

function setHealth(state, text, trouble = null) {
  const health = byId("health");
  health.dataset.state = state;
  health.lastElementChild.textContent = text;
  const box = byId("trouble");
  box.hidden = !trouble;
  if (box.textContent !== (trouble ?? "")) box.textContent = trouble ?? "";
}

async function refreshLag() {
  const note = byId("lag-note");
  try {
    const answer = await get("/api/v1/lag");
    lagRows = answer.partitions;
    const mine = lagRows.some((row) => row.assigned);
    const text = mine ? `${count(answer.total_lag)} records not stored yet` : "no partition is assigned yet: waiting for the broker and the topics";
    note.textContent = `group ${answer.group}: ${text}`;
    writeLag();
  } catch (error) {
    note.textContent = error.message;
  }
}

function writeLag() {
  const table = byId("lag-table");
  const heads = COLUMNS.map(([name, label, kind]) => {
    const sort = name === order.column ? (order.down ? "descending" : "ascending") : null;
    const flip = () => {
      order = { column: name, down: name === order.column ? !order.down : kind === "num" };
      writeLag();
      byId("lag-table").querySelectorAll("th button")[COLUMNS.findIndex((one) => one[0] === name)].focus();
    };
    return el("th", { scope: "col", class: kind, "aria-sort": sort }, el("button", { type: "button", onclick: flip }, label));
  });
  const most = Math.max(1, ...lagRows.map((row) => row.lag ?? 0));
  const rows = [...lagRows].sort(compare).map((row) => el("tr", {}, ...COLUMNS.map(([name, , kind]) => cell(row, name, kind, most))));
  const none = el("tr", {}, el("td", { class: "none", colspan: String(COLUMNS.length) }, "No partition was ever read. The topics may not exist yet."));
  const focused = table.contains(document.activeElement);
  if (focused && table.dataset.rows === JSON.stringify(lagRows) + JSON.stringify(order)) return;
  table.dataset.rows = JSON.stringify(lagRows) + JSON.stringify(order);
  const index = focused ? [...table.querySelectorAll("th button")].indexOf(document.activeElement) : -1;
  table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...(rows.length ? rows : [none])));
  if (index >= 0) table.querySelectorAll("th button")[index].focus();
}

function compare(a, b) {
  const [x, y] = [a[order.column], b[order.column]];
  const base = typeof x === "string" || typeof y === "string" ? String(x ?? "").localeCompare(String(y ?? "")) : (x ?? -1) - (y ?? -1);
  const tie = a.topic.localeCompare(b.topic) || a.partition - b.partition;
  return (order.down ? -base : base) || tie;
}

function cell(row, name, kind, most) {
  const value = row[name];
  if (name === "assigned") return el("td", {}, value ? "yes" : "no");
  if (name === "lag_seconds") return el("td", { class: kind }, seconds(value));
  if (name === "stored_at") return el("td", {}, value ? clock(Date.parse(value)) : "–");
  if (name === "lag") {
    const fill = el("i");
    fill.style.width = `${value ? Math.max(3, (100 * value) / most) : 0}%`;
    return el("td", { class: kind }, count(value), el("span", { class: "meter", "aria-hidden": "true" }, fill));
  }
  return el("td", { class: kind }, kind === "num" ? count(value) : value);
}

async function refreshUnparsed() {
  const [table, note] = [byId("unparsed-table"), byId("unparsed-note")];
  try {
    const { rows } = await get("/api/v1/unparsed", { limit: 50 });
    note.textContent = rows.length ? "the newest 50, kept as they came" : "";
    const heads = ["Time", "Record", "Reason", "Line"].map((label) => el("th", { scope: "col" }, label));
    const lines = rows.map((row) => el("tr", {},
      el("td", {}, clock(row.timestamp)),
      el("td", {}, `${row.topic}-${row.partition} @ ${row.offset}`),
      el("td", {}, row.reason),
      el("td", { class: "code" }, row.line)));
    const none = el("tr", {}, el("td", { class: "none", colspan: "4" }, "None: every line of the metrics topics was understood."));
    table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...(lines.length ? lines : [none])));
  } catch (error) {
    note.textContent = error.message;
  }
}
