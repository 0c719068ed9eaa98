// Strip: the picture of a sound, which plays it on a click.

import { make } from "./dom.js";
import { fit, paintSound } from "./paint.js";
import { nowPlaying, onPlayerChange, play, positionS, seekBy, stop, toggle } from "./player.js";
import { onThemeChange, playsOnHover } from "./theme.js";
import { clock } from "./words.js";

const HOVER_MS = 120;
const painters = new WeakMap();
let hoverKey = null;

/**
 * Make a strip.
 * @param {object} sound of `sound.js`
 * @param {object} options those of `paintSound`; `onProblem` gets the error of a missing picture
 */
export function makeStrip(sound, { onProblem = null, ...look } = {}) {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const isAudible = Boolean(sound.file || sound.path);
  const strip = make(
    "button",
    {
      type: "button",
      class: "strip",
      "aria-label": isAudible ? playLabel(sound) : `${sound.title}: no audio is stored`,
      "aria-pressed": isAudible ? "false" : null,
      disabled: !isAudible,
      data: { key: sound.key },
    },
    canvas,
    makePlace(sound.place),
    make("span", { class: "cursor", "aria-hidden": "true" }),
    make("span", { class: "glyph", "aria-hidden": "true" }),
  );
  listen(strip, sound, look);
  if (isAudible) whenSeen(strip, () => draw(strip, canvas, sound, look, onProblem));
  return strip;
}

const playLabel = ({ title, place }) =>
  place ? `Play ${title} from ${clock(place.fromS)}` : `Play ${title}`;

/** Mark the window of a hit in a long clip. */
function makePlace(place) {
  if (!place) return null;
  const mark = make("span", { class: "place", "aria-hidden": "true" });
  mark.style.setProperty("--from", `${(100 * place.fromS) / place.ofS}%`);
  mark.style.setProperty("--wide", `${(100 * (place.toS - place.fromS)) / place.ofS}%`);
  return mark;
}

async function draw(strip, canvas, sound, look, onProblem) {
  try {
    const picture = await sound.picture();
    strip.dataset.span = look.spanS ?? picture.durationS;
    painters.set(strip, () => fit(canvas) && paintSound(canvas, picture, look));
    painters.get(strip)();
    sizes.observe(strip);
    strip.classList.add("drawn");
  } catch (error) {
    strip.classList.add("undrawn");
    onProblem?.(error);
  }
}

function listen(strip, sound, look) {
  const placeS = (event) => {
    const { left, width } = strip.getBoundingClientRect();
    const spanS = look.spanS ?? Number(strip.dataset.span ?? 0);
    return Math.max(0, ((event.clientX - left) / width) * spanS);
  };
  let timer = null;
  strip.addEventListener("click", (event) => {
    const isPointer = event.detail > 0 && event.pointerType !== "touch";
    hoverKey = null;
    if (isPointer) play(sound, placeS(event));
    else toggle(sound, startOf(sound));
  });
  strip.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse" || !mayHover()) return;
    timer = setTimeout(() => hover(sound), HOVER_MS);
  });
  strip.addEventListener("pointerleave", () => {
    clearTimeout(timer);
    endHover(sound);
  });
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || nowPlaying() !== sound.key) return;
    event.preventDefault();
    seekBy(step);
  });
}

const startOf = (sound) => sound.place?.fromS ?? 0;

/** Whether hovering may play: browsers allow no sound before the first click or key. */
const mayHover = () => playsOnHover() && navigator.userActivation?.hasBeenActive !== false;

/** Play a sound while the pointer is over it. */
export function hover(sound) {
  if (!mayHover() || nowPlaying() === sound.key || !(sound.file || sound.path)) return;
  hoverKey = sound.key;
  play(sound, startOf(sound));
}

export function endHover(sound) {
  if (hoverKey !== sound.key) return;
  hoverKey = null;
  if (nowPlaying() === sound.key) stop();
}

const allStrips = () => document.querySelectorAll(".strip");

function follow() {
  const key = nowPlaying();
  for (const strip of allStrips()) {
    const isPlaying = strip.dataset.key === key;
    if (strip.hasAttribute("aria-pressed")) strip.setAttribute("aria-pressed", isPlaying);
    if (!isPlaying) continue;
    const share = positionS() / Number(strip.dataset.span || Infinity);
    strip.style.setProperty("--at", `${Math.min(100, 100 * share)}%`);
  }
  if (key) requestAnimationFrame(follow);
}

function repaint() {
  for (const strip of allStrips()) painters.get(strip)?.();
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) painters.get(target)?.();
});

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      sight.unobserve(target);
      seen.get(target)();
    }
  },
  { rootMargin: "300px" },
);
const seen = new WeakMap();

function whenSeen(element, act) {
  seen.set(element, act);
  sight.observe(element);
}

export function installStrips() {
  onPlayerChange(follow);
  onThemeChange(repaint);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });
}
