// The map view: the library on a plane, explored with pointer and keys.

import { clipPath, get } from "./api.js";
import { Chart, groupsOf } from "./chart.js";
import { byId, make, showProblem } from "./dom.js";
import { about, links } from "./hits.js";
import { fit } from "./paint.js";
import { paintMap } from "./paint-map.js";
import { toggle } from "./player.js";
import { soundOfClip } from "./sound.js";
import { say } from "./status.js";
import { endHover, hover, makeStrip } from "./strip.js";
import { onThemeChange } from "./theme.js";
import { count, nameOf } from "./words.js";

const REACH_PX = 22;
const CARD_MS = 140;
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let chart = null;
let groups = [];
let selected = null;
let shownAs = null;
let cardTimer = null;
const pointers = new Map();

const place = () => byId("chart");
const canvas = () => place().querySelector("canvas");

export function installMap() {
  const listeners = {
    keydown: onKey,
    wheel: onWheel,
    pointerdown: onDown,
    pointermove: onMove,
    pointerup: onUp,
    pointercancel: onUp,
    pointerleave: onLeave,
  };
  for (const [event, listener] of Object.entries(listeners)) {
    place().addEventListener(event, listener, { passive: false });
  }
  for (const control of place().querySelectorAll("[data-zoom]")) {
    control.addEventListener("click", () => zoom(control.dataset.zoom));
  }
  byId("group-form").addEventListener("submit", (event) => {
    event.preventDefault();
    showMap();
  });
  new ResizeObserver(paint).observe(place());
  onThemeChange(paint);
}

/** Show the view; it is drawn again only if the library has changed. */
export async function showMap() {
  try {
    const group = byId("group").value.trim() || "kind";
    const answer = await get(`/map?${new URLSearchParams({ group })}`);
    showProblem(byId("map-problem"), null);
    const now = `${answer.revision} ${group}`;
    if (now !== shownAs) {
      shownAs = now;
      draw(answer);
    }
  } catch (error) {
    showProblem(byId("map-problem"), error);
  }
}

function draw({ points, clips, shown }) {
  chart = points.length ? new Chart(points) : null;
  groups = groupsOf(points);
  selected = null;
  byId("chart-card").replaceChildren(
    make(
      "p",
      { class: "empty" },
      points.length ? "Touch a point to hear it." : "The library is empty.",
    ),
  );
  const part =
    points.length < clips
      ? `${count(points.length, "clip")} of ${clips.toLocaleString("en")}`
      : count(clips, "clip");
  const share = `the two axes show ${Math.round(100 * shown)} % of the variance`;
  byId("map-note").textContent = `${part}; ${share}, so neighbours on the map may still sound different.`;
  paint();
}

function paint() {
  if (!chart || !fit(canvas())) return;
  chart.resize(canvas().clientWidth, canvas().clientHeight);
  paintMap(canvas(), chart, { groups, selected });
}

function select(point, { isPinned }) {
  if (point === selected && !isPinned) return;
  const before = selected;
  selected = point;
  if (before && before !== point) endHover(soundOfClip(before));
  paint();
  clearTimeout(cardTimer);
  if (point) cardTimer = setTimeout(() => showCard(point), isPinned ? 0 : CARD_MS);
}

async function showCard(point) {
  try {
    const { clip } = await get(clipPath(point.clip_id));
    if (point !== selected) return;
    byId("chart-card").replaceChildren(
      make("h2", { class: "title" }, nameOf(clip)),
      makeStrip(soundOfClip(clip)),
      ...about(clip),
      links(clip),
    );
  } catch (error) {
    byId("chart-card").replaceChildren(make("p", { class: "problem" }, error.message));
  }
}

function onKey(event) {
  if (!chart || event.target !== place()) return;
  const direction = DIRECTIONS[event.key];
  const act = { "+": "in", "=": "in", "-": "out", 0: "all" }[event.key];
  if (direction) step(direction);
  else if (act) zoom(act);
  else if ((event.key === "Enter" || event.key === " ") && selected) toggle(soundOfClip(selected));
  else return;
  event.preventDefault();
}

function step(direction) {
  const next = selected ? chart.towards(selected, direction) : middleOne();
  if (!next) {
    say("No clip further that way");
    return;
  }
  chart.reveal(next);
  select(next, { isPinned: true });
  say(`${nameOf(next)}${next.group === null ? "" : `, ${next.group}`}`);
}

const middleOne = () =>
  chart.nearest({ x: chart.size.width / 2, y: chart.size.height / 2 }, Infinity);

function zoom(act) {
  if (!chart) return;
  if (act === "all") chart.all();
  else chart.enlarge(act === "in" ? 1.5 : 1 / 1.5);
  paint();
}

function onWheel(event) {
  if (!chart || !(event.ctrlKey || document.activeElement === place())) return;
  event.preventDefault();
  chart.enlarge(Math.exp(-event.deltaY / 400), at(event));
  paint();
}

function at(event) {
  const { left, top } = canvas().getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

function onDown(event) {
  if (!chart || event.target.closest("button")) return;
  pointers.set(event.pointerId, { ...at(event), moved: 0 });
  place().setPointerCapture(event.pointerId);
}

function onMove(event) {
  if (!chart || event.target.closest("button")) return;
  const pointer = pointers.get(event.pointerId);
  if (pointer) drag(event, pointer);
  else if (event.pointerType === "mouse") {
    const point = chart.nearest(at(event), REACH_PX);
    if (point && point !== selected) {
      select(point, { isPinned: false });
      hover(soundOfClip(point));
    } else if (!point && selected) endHover(soundOfClip(selected));
  }
}

function drag(event, pointer) {
  const now = at(event);
  const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId);
  if (others.length) {
    const [[, other]] = others;
    const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y);
    chart.enlarge(apart(now) / Math.max(1, apart(pointer)), other);
  } else {
    chart.move(now.x - pointer.x, now.y - pointer.y);
  }
  pointer.moved += Math.hypot(now.x - pointer.x, now.y - pointer.y);
  Object.assign(pointer, now);
  paint();
}

function onUp(event) {
  const pointer = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (!pointer || pointer.moved > 6 || event.type === "pointercancel") return;
  const point = chart.nearest(at(event), REACH_PX);
  if (!point) return;
  select(point, { isPinned: true });
  toggle(soundOfClip(point));
}

function onLeave() {
  if (selected) endHover(soundOfClip(selected));
}
