// A line chart on a canvas: axes, gaps, legend, and a cursor shared by all charts of the page.

import { el, time } from "./dom.js";

const PALETTE = ["#3f7cf4", "#e5793a", "#27a079", "#b45fd1", "#d1a11f", "#dd4f6c", "#2aa5c4", "#8a8f3b", "#7767e0", "#a0694b"];
const LEFT_MIN = 40;
const BOTTOM = 20;
const TOP = 8;
const RIGHT = 8;

const charts = new Set();
let sharedTime = null;

/** Redraws all charts; after a change of colours. */
export function redrawAll() {
  for (const chart of charts) chart.draw();
}

function pointAll(at, source) {
  sharedTime = at;
  for (const chart of charts) chart.point(chart === source);
}

export class Chart {
  /** `format` writes a value; `max` fixes the axis' upper end; `binary` steps by powers of two. */
  constructor(parent, { title, format, max, binary }) {
    this.format = format;
    this.fixedMax = max;
    this.binary = binary;
    this.series = [];
    this.hidden = new Set();
    this.from = 0;
    this.to = 1;
    this.step = 1;
    this.left = LEFT_MIN;
    this.sub = el("span");
    this.canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": title });
    this.empty = el("div", { class: "empty" }, "no data in this range");
    this.tip = el("div", { class: "tip", hidden: true });
    this.legend = el("div", { class: "legend" });
    this.title = el("h3", {}, title);
    this.root = el("article", { class: "chart" },
      el("header", {}, this.title, this.sub),
      el("div", { class: "plot" }, this.canvas, this.empty, this.tip),
      this.legend);
    parent.append(this.root);
    charts.add(this);
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => pointAll(null, null));
    this.canvas.addEventListener("blur", () => pointAll(null, null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** `series`: [{ label, points: [[ms, value], …] }], sorted by time. */
  update({ from, to, step, series, note = "" }) {
    Object.assign(this, { from, to, step });
    this.series = series.map((one, at) => ({ ...one, color: PALETTE[at % PALETTE.length] }));
    this.sub.textContent = note;
    this.empty.hidden = series.some((one) => one.points.length);
    this.canvas.setAttribute("aria-label", this.summary());
    this.writeLegend();
    this.draw();
  }

  rename(title) {
    this.title.textContent = title;
  }

  summary() {
    const parts = this.visible().slice(0, 6).map((one) => `${one.label} ${this.lastText(one)}`);
    return `${this.title.textContent}: ${parts.join(", ") || "no data"}`;
  }

  visible() {
    return this.series.filter((one) => !this.hidden.has(one.label));
  }

  lastText(one) {
    const last = one.points[one.points.length - 1];
    return last ? this.format(last[1]) : "–";
  }

  writeLegend() {
    this.legend.replaceChildren(...this.series.map((one) => {
      const swatch = el("i");
      swatch.style.background = one.color;
      const toggle = () => {
        if (!this.hidden.delete(one.label)) this.hidden.add(one.label);
        this.writeLegend();
        this.draw();
      };
      return el("button", { type: "button", title: one.label, "aria-pressed": String(!this.hidden.has(one.label)), onclick: toggle },
        swatch, el("span", {}, one.label), el("b", {}, this.lastText(one)));
    }));
  }

  draw() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    this.box = { width: box.width, height: box.height };
    this.ticks = this.scale();
    const style = getComputedStyle(this.root);
    pen.font = `11px ${style.fontFamily}`;
    const widest = Math.max(...this.ticks.map((value) => pen.measureText(this.format(value)).width));
    this.left = Math.max(LEFT_MIN, Math.ceil(widest) + 9);
    this.axes(pen, style.color);
    for (const one of this.visible()) this.path(pen, one);
    this.cursor(pen);
  }

  /** Chooses the axis: round steps around what is drawn. */
  scale() {
    let low = 0;
    let high = this.fixedMax ?? 0;
    for (const one of this.visible()) {
      for (const [, value] of one.points) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (high <= low) high = low + 1;
    const raw = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = this.binary ? 2 ** Math.ceil(Math.log2(raw)) : [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
    this.low = Math.floor(low / step) * step;
    this.high = this.fixedMax && high <= this.fixedMax ? this.fixedMax : Math.ceil(high / step - 1e-9) * step;
    const ticks = [];
    for (let value = this.low; value <= this.high + step / 1e6; value += step) ticks.push(value);
    return ticks;
  }

  x(ms) {
    return this.left + ((ms - this.from) / (this.to - this.from)) * (this.box.width - this.left - RIGHT);
  }

  y(value) {
    return TOP + (1 - (value - this.low) / (this.high - this.low)) * (this.box.height - TOP - BOTTOM);
  }

  axes(pen, muted) {
    pen.lineWidth = 1;
    for (const value of this.ticks) {
      const y = Math.round(this.y(value)) + 0.5;
      pen.strokeStyle = muted;
      pen.globalAlpha = value === 0 ? 0.28 : 0.11;
      pen.beginPath();
      pen.moveTo(this.left, y);
      pen.lineTo(this.box.width - RIGHT, y);
      pen.stroke();
      pen.globalAlpha = 0.62;
      pen.fillStyle = muted;
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      pen.fillText(this.format(value), this.left - 7, y);
    }
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    for (const [at, label] of this.timeTicks()) {
      pen.fillText(label, this.x(at), this.box.height - 4);
    }
    pen.globalAlpha = 1;
  }

  timeTicks() {
    const minute = 60_000;
    const sizes = [minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, 60 * minute, 120 * minute, 240 * minute, 360 * minute, 720 * minute, 1440 * minute];
    const room = Math.max(2, Math.floor((this.box.width - this.left) / 74));
    const size = sizes.find((one) => (this.to - this.from) / one <= room) ?? 2880 * minute;
    const zone = new Date(this.from).getTimezoneOffset() * minute;
    const ticks = [];
    for (let at = Math.ceil((this.from - zone) / size) * size + zone; at <= this.to; at += size) {
      const date = new Date(at);
      const day = size >= 1440 * minute;
      const label = day ? `${date.getMonth() + 1}/${date.getDate()}` : time(date).slice(0, 5);
      if (this.x(at) > this.left + 14 && this.x(at) < this.box.width - 18) ticks.push([at, label]);
    }
    return ticks;
  }

  path(pen, one) {
    const gap = this.step * 3.5;
    pen.strokeStyle = one.color;
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.beginPath();
    let before = null;
    let alone = [];
    one.points.forEach(([at, value], index) => {
      const [x, y] = [this.x(at), this.y(value)];
      const next = one.points[index + 1];
      const starts = before === null || at - before > gap;
      if (starts) pen.moveTo(x, y);
      else pen.lineTo(x, y);
      if (starts && (!next || next[0] - at > gap)) alone.push([x, y]);
      before = at;
    });
    pen.stroke();
    pen.fillStyle = one.color;
    for (const [x, y] of alone) pen.fillRect(x - 1.5, y - 1.5, 3, 3);
    if (this.visible().length === 1 && one.points.length > 1) this.area(pen, one, gap);
  }

  area(pen, one, gap) {
    const base = this.y(Math.max(0, this.low));
    pen.globalAlpha = 0.1;
    let start = 0;
    one.points.forEach(([at], index) => {
      const next = one.points[index + 1];
      if (next && next[0] - at <= gap) return;
      pen.beginPath();
      pen.moveTo(this.x(one.points[start][0]), base);
      for (let i = start; i <= index; i += 1) pen.lineTo(this.x(one.points[i][0]), this.y(one.points[i][1]));
      pen.lineTo(this.x(at), base);
      pen.fill();
      start = index + 1;
    });
    pen.globalAlpha = 1;
  }

  /** The values nearest to the shared cursor, none further away than the gap. */
  nearest() {
    if (sharedTime === null || sharedTime < this.from || sharedTime > this.to) return [];
    const found = [];
    for (const one of this.visible()) {
      let low = 0;
      let high = one.points.length - 1;
      if (high < 0) continue;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (one.points[middle][0] < sharedTime) low = middle + 1;
        else high = middle;
      }
      const before = one.points[low - 1];
      let best = one.points[low];
      if (before && Math.abs(before[0] - sharedTime) < Math.abs(best[0] - sharedTime)) best = before;
      if (Math.abs(best[0] - sharedTime) <= this.step * 3.5) found.push({ one, at: best[0], value: best[1] });
    }
    return found;
  }

  cursor(pen) {
    const found = this.nearest();
    if (!found.length) return;
    const x = Math.round(this.x(found[0].at)) + 0.5;
    pen.globalAlpha = 0.4;
    pen.strokeStyle = getComputedStyle(this.root).color;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, TOP);
    pen.lineTo(x, this.box.height - BOTTOM);
    pen.stroke();
    pen.globalAlpha = 1;
    for (const { one, at, value } of found) {
      pen.fillStyle = one.color;
      pen.beginPath();
      pen.arc(this.x(at), this.y(value), 3, 0, 7);
      pen.fill();
    }
  }

  point(withTip) {
    this.draw();
    const found = withTip ? this.nearest() : [];
    this.tip.hidden = !found.length;
    if (!found.length) return;
    const rows = found.sort((a, b) => b.value - a.value).slice(0, 12).map(({ one, value }) => {
      const swatch = el("i");
      swatch.style.background = one.color;
      return el("div", {}, swatch, el("span", {}, one.label), el("b", {}, this.format(value)));
    });
    const at = new Date(found[0].at);
    this.tip.replaceChildren(el("time", {}, `${at.toLocaleDateString()} ${time(at)}`), ...rows);
    const x = this.x(found[0].at);
    const onLeft = x > this.box.width / 2;
    this.tip.style.left = onLeft ? "" : `${x + 12}px`;
    this.tip.style.right = onLeft ? `${this.box.width - x + 12}px` : "";
  }

  hover(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - this.left) / (box.width - this.left - RIGHT);
    pointAll(this.from + share * (this.to - this.from), this);
  }

  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key === "Escape") return pointAll(null, null);
    if (!(event.key in moves)) return undefined;
    event.preventDefault();
    const from = sharedTime ?? this.to;
    const by = Math.max(this.step, (this.to - this.from) / 200) * moves[event.key];
    return pointAll(Math.min(this.to, Math.max(this.from, from + by)), this);
  }
}
