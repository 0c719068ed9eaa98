// Switches of the page: light or dark theme, and playback on hover.

import { byId } from "./dom.js";

const THEMES = ["auto", "light", "dark"];
const changed = new EventTarget();

export const onThemeChange = (listener) => changed.addEventListener("change", listener);

/** Return a colour of the current theme by the name of its custom property. */
export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const playsOnHover = () => byId("hover-switch").getAttribute("aria-pressed") === "true";

export function installSwitches() {
  apply(localStorage.getItem("minuend-theme") ?? "auto");
  byId("theme-switch").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme;
    apply(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  installHover();
}

function apply(theme) {
  const known = THEMES.includes(theme) ? theme : "auto";
  document.documentElement.dataset.theme = known;
  localStorage.setItem("minuend-theme", known);
  byId("theme-switch").textContent = `Theme: ${known}`;
  tell();
}

const tell = () => changed.dispatchEvent(new Event("change"));

function installHover() {
  const toggle = byId("hover-switch");
  toggle.setAttribute("aria-pressed", localStorage.getItem("minuend-hover") !== "no");
  toggle.addEventListener("click", () => {
    const plays = !playsOnHover();
    toggle.setAttribute("aria-pressed", plays);
    localStorage.setItem("minuend-hover", plays ? "yes" : "no");
  });
}
