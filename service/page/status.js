// What is said aloud by screen readers, without moving the focus.

import { byId } from "./dom.js";

export function say(text) {
  const region = byId("status");
  // The same words twice are heard twice only if the region was empty in between.
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}
