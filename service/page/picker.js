// Dialog for the choice of a clip of the library.

import { get } from "./api.js";
import { button, byId, make, showProblem } from "./dom.js";
import { soundOfClip } from "./sound.js";
import { duration, factsOf, nameOf } from "./words.js";

const PAGE = 200;
let finish = () => {};
let cursor = null;

/** Show the dialog; resolves to the chosen sound, or null. */
export function pickClip() {
  byId("picker-list").replaceChildren();
  byId("picker-find").value = "";
  byId("picker").showModal();
  cursor = null;
  load();
  return new Promise((resolve) => {
    finish = resolve;
  });
}

async function load() {
  try {
    const query = new URLSearchParams({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    const page = await get(`/clips?${query}`);
    cursor = page.next_cursor;
    byId("picker-list").append(...page.clips.map(pick));
    byId("picker-more").hidden = cursor === null;
    const isEmpty = byId("picker-list").childElementCount === 0;
    showProblem(
      byId("picker-problem"),
      isEmpty ? new Error("The library has no clips yet.") : null,
    );
    narrow();
  } catch (error) {
    showProblem(byId("picker-problem"), error);
  }
}

function pick(clip) {
  const facts = [duration(clip.duration_s), ...factsOf(clip).map(([, text]) => text)];
  const choose = button("", () => close(soundOfClip(clip)), { class: "pick" });
  choose.append(
    make("strong", {}, nameOf(clip)),
    make("span", { class: "note" }, facts.join(" · ")),
  );
  return make("li", {}, choose);
}

function narrow() {
  const wanted = byId("picker-find").value.trim().toLowerCase();
  for (const item of byId("picker-list").children) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }
}

function close(sound) {
  finish(sound);
  finish = () => {};
  byId("picker").close();
}

export function installPicker() {
  byId("picker-find").addEventListener("input", narrow);
  byId("picker-more").addEventListener("click", load);
  byId("picker-close").addEventListener("click", () => close(null));
  byId("picker").addEventListener("close", () => finish(null));
}
