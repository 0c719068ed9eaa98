// Announcements for screen readers, without moving the focus.

import { byId } from "./dom.js";

export function say(text) {
  const region = byId("status");
  // Repeated words are announced again only if the region was empty in between.
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}
