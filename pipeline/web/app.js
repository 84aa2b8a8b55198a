// Puts the page together: views by address, keys, colours.

import { redrawAll } from "./chart.js";
import { byId } from "./dom.js";
import * as live from "./live.js";
import * as logs from "./logs.js";
import * as metrics from "./metrics.js";
import * as status from "./status.js";

const VIEWS = {
  metrics: { show: metrics.show, hide: metrics.hide },
  logs: { show: logs.show, hide: logs.hide, focus: logs.focus },
  live: { show: live.show, hide: live.hide, focus: live.focus },
  lag: { show: status.showLag, hide: status.hideLag },
};

let current = null;

function route() {
  const [, name = "", query = ""] = location.hash.match(/^#\/(\w*)(?:\?(.*))?$/) ?? [];
  const view = name in VIEWS ? name : "metrics";
  if (view !== current) {
    if (current) VIEWS[current].hide();
    current = view;
    for (const section of document.querySelectorAll("[data-page]")) section.hidden = section.dataset.page !== view;
    for (const tab of document.querySelectorAll("[data-view]")) {
      if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
  }
  VIEWS[view].show(new URLSearchParams(query));
}

function theme(next) {
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  redrawAll();
}

function flipTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const next = dark ? "light" : "dark";
  try { localStorage.setItem("logway-theme", next); } catch { /* a private window keeps nothing */ }
  theme(next);
}

function keys(event) {
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "Escape" && typing) return typing.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const views = { 1: "metrics", 2: "logs", 3: "live", 4: "lag" };
  if (event.key in views) {
    location.hash = `#/${views[event.key]}`;
  } else if (event.key === "t") {
    flipTheme();
  } else if (event.key === "/") {
    event.preventDefault();
    if (VIEWS[current].focus) return VIEWS[current].focus();
    window.addEventListener("hashchange", () => VIEWS[current].focus?.(), { once: true });
    location.hash = "#/logs";
  }
  return undefined;
}

try { theme(localStorage.getItem("logway-theme")); } catch { /* a private window keeps nothing */ }
metrics.start();
logs.start();
live.start();
status.start();
byId("theme").addEventListener("click", flipTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
document.addEventListener("keydown", keys);
window.addEventListener("hashchange", route);
route();
