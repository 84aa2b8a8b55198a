// Log lines and their filters: shared by search and live tail.

import { clock, el, marked } from "./dom.js";

const LEVELS = [["", "any level"], ["DEBUG+", "≥ DEBUG"], ["INFO+", "≥ INFO"], ["WARN+", "≥ WARN"], ["ERROR+", "≥ ERROR"], ["TRACE", "TRACE only"], ["DEBUG", "DEBUG only"], ["INFO", "INFO only"], ["NOTICE", "NOTICE only"], ["WARN", "WARN only"], ["ERROR", "ERROR only"], ["FATAL", "FATAL only"]];
const RANGES = [["", "all time"], ["now-15m", "15 minutes"], ["now-1h", "1 hour"], ["now-24h", "24 hours"], ["now-7d", "7 days"], ["now-30d", "30 days"]];

/** Builds the inputs of a filter form. `onchange` gets the parameters of the API. */
export function filterForm(form, { withRange, action, onchange }) {
  const select = (name, label, list) => el("select", { name, "aria-label": label }, ...list.map(([value, text]) => el("option", { value }, text)));
  const input = (name, label, hint) => el("input", { name, type: "text", "aria-label": label, placeholder: label, title: hint, maxlength: "1000", spellcheck: "false" });
  const words = el("input", { type: "checkbox", name: "words" });
  const search = el("input", { name: "query", type: "search", placeholder: "Find text in lines   ( / )", "aria-label": "Text to find", maxlength: "1000", spellcheck: "false" });
  const fields = [
    el("div", { class: "search" }, search, el("label", { title: "Find lines that hold all words, in any order" }, words, "words")),
    select("level", "Level", LEVELS),
    ...(withRange ? [select("from", "Time range", RANGES)] : []),
    input("host", "host", "Host; * stands for any text"),
    input("path", "file", "File; * stands for any text, such as */syslog"),
    input("service", "service", "Service; * stands for any text"),
  ];
  form.classList.toggle("plain", !withRange);
  form.append(...fields, el("button", { class: "primary", type: "submit" }, action));
  const apply = () => onchange(parameters(form));
  form.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
  form.addEventListener("change", apply);
}

/** The form's values as parameters of the API. */
export function parameters(form) {
  const out = {};
  for (const [name, value] of new FormData(form)) {
    if (name !== "words" && value.trim()) out[name] = name === "query" ? value : value.trim();
  }
  if (form.elements.words.checked && out.query) out.mode = "words";
  return out;
}

/** Puts parameters into the form's inputs. */
export function fill(form, wanted) {
  for (const name of ["query", "level", "from", "host", "path", "service"]) {
    if (form.elements[name]) form.elements[name].value = wanted[name] ?? "";
  }
  form.elements.words.checked = wanted.mode === "words";
}

/** What to mark in lines found with these parameters. */
export function needles(wanted) {
  if (!wanted.query) return [];
  return wanted.mode === "words" ? wanted.query.split(/\s+/) : [wanted.query];
}

/** One line as an element; opens on click or Enter. `onfilter(name, value)` narrows the search. */
export function lineElement(row, marks, onfilter) {
  const source = row.logger || row.path || row.topic;
  const button = el("button", { type: "button", "aria-expanded": "false" },
    el("time", { title: row.time }, clock(row.timestamp)),
    el("span", { class: "level" }, row.level ?? ""),
    el("span", { class: "from", title: source }, el("bdi", {}, source)),
    el("span", { class: "text" }, ...marked(excerpt(row.message, marks), marks)));
  const line = el("div", { class: "line", role: "listitem", "data-level": row.level }, button);
  button.addEventListener("click", () => toggle(line, button, row, marks, onfilter));
  return line;
}

/** The message from shortly before what was found, where that would not be seen otherwise. */
function excerpt(message, marks) {
  const lower = message.toLowerCase();
  const places = marks.map((mark) => lower.indexOf(mark.toLowerCase())).filter((at) => at >= 0);
  const first = Math.min(...places);
  return places.length && first > 70 ? `… ${message.slice(first - 36)}` : message;
}

function toggle(line, button, row, marks, onfilter) {
  const open = !line.hasAttribute("data-open");
  line.toggleAttribute("data-open", open);
  button.setAttribute("aria-expanded", String(open));
  const text = open ? row.message : excerpt(row.message, marks);
  button.querySelector(".text").replaceChildren(...marked(text, marks));
  if (open) line.append(detail(row, marks, onfilter));
  else line.querySelector(".detail")?.remove();
}

function detail(row, marks, onfilter) {
  const list = el("dl");
  const fact = (name, value, filter) => {
    if (value === null || value === undefined || value === "") return;
    const shown = filter ? el("button", { type: "button", title: `Only ${name} ${value}`, onclick: () => onfilter(filter, value) }, String(value)) : String(value);
    list.append(el("dt", {}, name), el("dd", {}, shown));
  };
  fact("time", row.time);
  fact("host", row.host, "host");
  fact("file", row.path, "path");
  fact("service", row.service, "service");
  fact("logger", row.logger);
  fact("thread", row.thread);
  fact("record", `${row.topic}-${row.partition} @ ${row.offset}`);
  fact("origin", row.origin && `${row.origin} at ${row.position}`);
  fact("id", row.id);
  fact("bytes", row.body_base64 && "not UTF-8; shown with replacements, whole in body_base64");
  const body = row.body ? el("pre", {}, ...marked(pretty(row.body), marks)) : null;
  return el("div", { class: "detail" }, list, body);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Arrow keys walk through the lines of a list. */
export function walkable(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, Home: -Infinity, End: Infinity }[event.key];
    const line = event.target.closest?.(".line");
    if (!step || !line || event.ctrlKey || event.metaKey || event.altKey) return;
    const lines = [...list.querySelectorAll(":scope > .line > button")];
    const at = lines.indexOf(line.firstElementChild);
    const next = lines[Math.min(lines.length - 1, Math.max(0, at + step))];
    event.preventDefault();
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  });
}
