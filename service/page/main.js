// Start of the page: footer, the four views, and navigation between them.

import { get } from "./api.js";
import { installDifference, showDifference } from "./difference.js";
import { byId, make } from "./dom.js";
import { installLibrary, showLibrary } from "./library.js";
import { installMap, showMap } from "./map.js";
import { installPicker } from "./picker.js";
import { installSearch, showSearch } from "./search.js";
import { stop } from "./player.js";
import { installStrips } from "./strip.js";
import { installSwitches } from "./theme.js";
import { count } from "./words.js";

const VIEWS = {
  search: showSearch,
  difference: showDifference,
  library: showLibrary,
  map: showMap,
};

function route(isFirst) {
  const [name, query] = location.hash.slice(1).split("?");
  if (name === "main") return;
  const view = name in VIEWS ? name : "search";
  for (const other of Object.keys(VIEWS)) byId(other).hidden = other !== view;
  for (const link of document.querySelectorAll("nav[aria-label=Views] a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = byId(`${view}-title`);
  document.title = `${heading.textContent} · Minuend`;
  if (!isFirst) {
    stop();
    heading.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  VIEWS[view](new URLSearchParams(query));
}

function showFooter(info) {
  byId("footer").replaceChildren(
    make("span", {}, count(info.library.clips, "clip")),
    make("span", {}, `model ${info.bundle.id} (${info.bundle.fingerprint.slice(0, 12)})`),
    make("span", {}, info.licence),
    make("span", {}, `Minuend ${info.service.version}`),
    make("a", { href: "/openapi.json" }, "API"),
  );
}

async function start() {
  installSwitches();
  installStrips();
  installPicker();
  const info = await get("/info");
  showFooter(info);
  installSearch(info);
  installDifference(info);
  installLibrary(info);
  installMap();
  window.addEventListener("hashchange", () => route(false));
  route(true);
  document.documentElement.dataset.ready = "";
}

try {
  await start();
} catch (error) {
  byId("main").prepend(make("p", { class: "problem", role: "alert" }, error.message));
}
