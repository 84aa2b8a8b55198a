// Small helpers to build the page. Data only ever becomes text nodes, never markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children; text children are text nodes. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** `text` as nodes, with every occurrence of a needle marked, whatever its case. */
export function marked(text, needles) {
  const wanted = needles.filter(Boolean).map((needle) => needle.toLowerCase());
  if (!wanted.length) return [text];
  const lower = text.toLowerCase();
  // Lower case may change the length of text in some languages: then nothing is marked.
  if (lower.length !== text.length) return [text];
  const nodes = [];
  let at = 0;
  while (at < text.length) {
    let best = -1;
    let length = 0;
    for (const needle of wanted) {
      const found = lower.indexOf(needle, at);
      if (found >= 0 && (best < 0 || found < best || (found === best && needle.length > length))) {
        best = found;
        length = needle.length;
      }
    }
    if (best < 0) break;
    if (best > at) nodes.push(text.slice(at, best));
    nodes.push(el("mark", {}, text.slice(best, best + length)));
    at = best + length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

const whole = new Intl.NumberFormat("en");
export const count = (number) => (number === null || number === undefined ? "–" : whole.format(number));

/** A short form such as 1.25 M. */
export function short(number) {
  const size = Math.abs(number);
  if (size >= 1e9) return `${trim(number / 1e9)} G`;
  if (size >= 1e6) return `${trim(number / 1e6)} M`;
  if (size >= 1e4) return `${trim(number / 1e3)} k`;
  return trim(number);
}

function trim(number) {
  const size = Math.abs(number);
  const digits = size >= 100 || Number.isInteger(number) ? 0 : size >= 10 ? 1 : 2;
  return whole.format(Number(number.toFixed(digits)));
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (Math.abs(number) >= 1024 && at < units.length - 1) {
    number /= 1024;
    at += 1;
  }
  return `${trim(number)} ${units[at]}`;
}

export function seconds(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1) return number === 0 ? "0 s" : "< 1 s";
  if (number < 120) return `${Math.round(number)} s`;
  if (number < 7200) return `${Math.round(number / 60)} min`;
  if (number < 172800) return `${Math.round(number / 3600)} h`;
  return `${Math.round(number / 86400)} d`;
}

const pad = (number, width = 2) => String(number).padStart(width, "0");

/** Local time with milliseconds. */
export function clock(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${time(date)}.${pad(date.getMilliseconds(), 3)}`;
}

export function time(date) {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function options(select, list, chosen) {
  select.replaceChildren(...list.map(([value, label]) => el("option", { value, selected: value === chosen }, label)));
}
