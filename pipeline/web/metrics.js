// The metrics view: fixed panels for a machine, and any metric by name.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { byId, bytes, el, options, short } from "./dom.js";

const percent = (value) => `${short(Math.round(value * 10) / 10)} %`;
const rate = (value) => `${bytes(value)}/s`;
const REFRESH_MS = 10_000;
const RANGES = [["15m", "15 minutes"], ["1h", "1 hour"], ["6h", "6 hours"], ["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]];
const LENGTHS = { "15m": 900e3, "1h": 3600e3, "6h": 21600e3, "24h": 86400e3, "7d": 604800e3, "30d": 2592000e3 };
const AGGREGATES = [["avg", "mean"], ["max", "largest"], ["min", "smallest"], ["sum", "sum"], ["last", "latest"], ["count", "number"], ["rate", "rate per second"]];

/** Lines are queries: a field of a measurement, and how its series are called. */
const PANELS = [
  { title: "CPU", format: percent, max: 100, lines: ["user", "system", "iowait", "steal"].map((kind) => ({ name: "cpu", field: `usage_${kind}`, tags: { cpu: "cpu-total" }, label: () => kind })) },
  { title: "Memory", format: percent, max: 100, lines: [{ name: "mem", field: "used_percent", label: () => "used" }, { name: "swap", field: "used_percent", label: () => "swap" }] },
  { title: "Load", format: short, lines: [1, 5, 15].map((n) => ({ name: "system", field: `load${n}`, label: () => `${n} min` })) },
  { title: "Network", format: rate, binary: true, lines: [["recv", "in"], ["sent", "out"]].map(([field, word]) => ({ name: "net", field: `bytes_${field}`, agg: "rate", keep: (tags) => tags.interface !== "lo" && tags.interface !== "all", label: (tags) => `${tags.interface ?? ""} ${word}`.trim() })) },
  { title: "Disk used", format: percent, max: 100, lines: [{ name: "disk", field: "used_percent", label: (tags) => tags.path ?? tags.device ?? "disk" }] },
  { title: "Disk throughput", format: rate, binary: true, optional: true, lines: [["read", "read"], ["write", "write"]].map(([field, word]) => ({ name: "diskio", field: `${field}_bytes`, agg: "rate", label: (tags) => `${tags.name ?? ""} ${word}`.trim() })) },
];

/** Fields to begin with where a measurement has them. */
const TELLING = ["usage_active", "usage_user", "used_percent", "load1", "bytes_recv"];

let panels = [];
let explorer = null;
let known = [];
let running = null;
let timer = null;
let active = false;

export function start() {
  options(byId("metrics-range"), RANGES, "15m");
  options(byId("metrics-host"), [["", "all hosts"]], "");
  options(byId("explore-agg"), AGGREGATES, "avg");
  panels = PANELS.map((panel) => ({ ...panel, chart: new Chart(byId("charts"), panel) }));
  explorer = new Chart(byId("explore"), { title: "Metric", format: short });
  for (const id of ["metrics-range", "metrics-host", "explore-agg", "explore-field"]) byId(id).addEventListener("change", refresh);
  byId("explore-name").addEventListener("change", () => { listFields(); refresh(); });
  byId("metrics-follow").addEventListener("change", refresh);
}

export function show() {
  active = true;
  refresh();
}

export function hide() {
  active = false;
  clearTimeout(timer);
  running?.abort();
}

async function refresh() {
  clearTimeout(timer);
  running?.abort();
  if (!active || document.hidden) return schedule();
  running = new AbortController();
  const { signal } = running;
  const note = byId("metrics-note");
  try {
    known = (await get("/api/v1/metrics", {}, signal)).metrics;
    await listHosts(signal);
    listNames();
    const length = LENGTHS[byId("metrics-range").value];
    const to = Date.now();
    // Multiples of the agent's usual interval, so that every step holds equally many samples.
    const step = Math.ceil(length / 300 / 10_000) * 10_000;
    const range = { from: to - length, to, step };
    const failed = (await Promise.all([...panels.map((panel) => draw(panel, range, signal)), explore(range, signal)])).filter(Boolean);
    note.textContent = known.length ? failed[0] ?? "" : "No metrics are stored yet.";
  } catch (error) {
    if (error.name !== "AbortError") note.textContent = error.message;
  }
  return schedule();
}

function schedule() {
  clearTimeout(timer);
  if (active && byId("metrics-follow").checked) timer = setTimeout(refresh, REFRESH_MS);
}

async function draw(panel, range, signal) {
  const lines = panel.lines.filter((line) => has(line.name, line.field));
  panel.chart.root.hidden = panel.optional && !lines.length;
  try {
    const answers = await Promise.all(lines.map((line) => values(line, range, signal)));
    panel.chart.update({ ...range, series: answers.flat() });
    return null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    panel.chart.update({ ...range, series: [], note: error.message });
    return error.message;
  }
}

async function values(line, range, signal) {
  const host = byId("metrics-host").value;
  const isRate = line.agg === "rate";
  const parameters = { name: line.name, field: line.field, from: range.from - (isRate ? range.step : 0), to: range.to, step: `${range.step}ms`, agg: isRate ? "last" : line.agg };
  for (const [tag, value] of Object.entries(line.tags ?? {})) parameters[`tag.${tag}`] = value;
  if (host) parameters["tag.host"] = host;
  const answer = await get("/api/v1/metrics/query", parameters, signal);
  const hosts = new Set(answer.series.map((one) => one.tags.host));
  return answer.series.filter((one) => !line.keep || line.keep(one.tags)).map((one) => {
    const name = line.label(one.tags);
    return { label: hosts.size > 1 && !line.whole ? `${one.tags.host} ${name}` : name, points: isRate ? rates(one.points) : one.points };
  });
}

/** Growth per second of a counter; a counter that starts over gives no value. */
function rates(points) {
  const out = [];
  for (let at = 1; at < points.length; at += 1) {
    const grown = points[at][1] - points[at - 1][1];
    const span = (points[at][0] - points[at - 1][0]) / 1000;
    if (grown >= 0 && span > 0) out.push([points[at][0], grown / span]);
  }
  return out;
}

async function explore(range, signal) {
  const name = byId("explore-name").value;
  const field = byId("explore-field").value;
  if (!name || !field) return explorer.update({ ...range, series: [] });
  explorer.rename(`${name} · ${field}`);
  const label = (tags) => Object.entries(tags).map(([key, value]) => `${key}=${value}`).join(" ") || field;
  const line = { name, field, agg: byId("explore-agg").value, whole: true, label };
  try {
    const series = await values(line, range, signal);
    explorer.update({ ...range, series: series.slice(0, 40), note: series.length > 40 ? `40 of ${series.length} series` : "" });
    return null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return error.message;
  }
}

function has(name, field) {
  return known.some((one) => one.name === name && one.fields.some((other) => other.name === field));
}

function listNames() {
  const select = byId("explore-name");
  const names = known.map((one) => one.name);
  if (names.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  const chosen = names.includes(select.value) ? select.value : names[0];
  options(select, names.map((name) => [name, name]), chosen);
  listFields();
}

function listFields() {
  const select = byId("explore-field");
  const fields = known.find((one) => one.name === byId("explore-name").value)?.fields ?? [];
  const usable = fields.filter((field) => field.kind !== "text");
  const names = usable.map((field) => field.name);
  const chosen = [select.value, ...TELLING, names[0]].find((name) => names.includes(name));
  options(select, usable.map((field) => [field.name, field.name]), chosen);
}

async function listHosts(signal) {
  const probe = known.find((one) => ["system", "mem", "cpu"].includes(one.name)) ?? known[0];
  if (!probe) return;
  const { series } = await get("/api/v1/metrics", { name: probe.name, field: probe.fields[0].name }, signal);
  const hosts = [...new Set(series.map((one) => one.tags.host).filter(Boolean))].sort();
  const select = byId("metrics-host");
  if (select.options.length === hosts.length + 1) return;
  options(select, [["", "all hosts"], ...hosts.map((host) => [host, host])], select.value);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && active) refresh(); });
