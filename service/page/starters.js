// A few clips of the library as examples for a first search.

import { get } from "./api.js";
import { make } from "./dom.js";
import { soundOfClip } from "./sound.js";
import { makeStrip } from "./strip.js";
import { nameOf } from "./words.js";

const AMONG = 60;
const N = 4;

/** Show a few clips in an element, evenly spaced among the first of the library. */
export async function offerStarters(place) {
  const { clips } = await get(`/clips?limit=${AMONG}`);
  const step = Math.max(1, Math.floor(clips.length / N));
  const chosen = clips.filter((clip, n) => n % step === Math.floor(step / 2)).slice(0, N);
  if (place.childElementCount) return;
  place.replaceChildren(...(chosen.length ? some(chosen) : none()));
}

const some = (clips) => [
  make("h2", {}, "Or begin with one of these"),
  make("ul", { class: "starters" }, ...clips.map(card)),
];

const none = () => [
  make(
    "p",
    { class: "empty" },
    "The library is empty. ",
    make("a", { href: "#library" }, "Add the first sounds"),
    ", then search among them.",
  ),
];

function card(clip) {
  const name = nameOf(clip);
  const to = `#search?like=${encodeURIComponent(clip.clip_id)}`;
  return make(
    "li",
    {},
    makeStrip(soundOfClip(clip)),
    make("p", { class: "title" }, name),
    make(
      "a",
      { class: "action", href: to, "aria-label": `More like this: ${name}` },
      "More like this",
    ),
  );
}
