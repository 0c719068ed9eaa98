// Ranked list of hits: each with its picture, its score and the contributions of the terms.

import { button, make } from "./dom.js";
import { play } from "./player.js";
import { soundOfClip } from "./sound.js";
import { makeStrip } from "./strip.js";
import { descriptionOf, duration, factsOf, nameOf, signed, span, termName } from "./words.js";

/** Make the list of hits; the arrow keys up and down move between them. */
export function makeHits(hits) {
  const scale = scaleOf(hits);
  const list = make("ol", { class: "hits" }, ...hits.map((hit) => item(hit, scale)));
  list.addEventListener("keydown", (event) => moveFocus(event, list));
  return make(
    "div",
    {},
    list,
    make(
      "p",
      { class: "note" },
      "↑ ↓ go from clip to clip, Enter plays, ← → skip a second, Esc stops.",
    ),
  );
}

function item(hit, scale) {
  const name = nameOf(hit);
  const sound = soundOfClip(hit);
  return make(
    "li",
    { class: "hit", data: { clip: hit.clip_id } },
    makeStrip(sound),
    make(
      "div",
      { class: "about" },
      make("h3", { class: "title" }, name),
      ...about(hit),
      withPlace(links(hit, name), sound),
    ),
    make(
      "div",
      { class: "scores" },
      make(
        "p",
        { class: "score" },
        make("span", { class: "hidden" }, "Score "),
        signed(hit.score, 3).replace("+", ""),
      ),
      contributions(hit.contributions, scale),
    ),
  );
}

/** Add a button before the links of a clip that plays the window that was found. */
function withPlace(actions, sound) {
  if (sound.place && sound.path) {
    const when = span(sound.place);
    actions.prepend(
      button(`▸ ${when}`, () => play(sound, sound.place.fromS), {
        class: "quiet when",
        "aria-label": `Play ${sound.title}, ${when}`,
      }),
    );
  }
  return actions;
}

/** Return the description of a clip, and a line of facts. */
export function about(clip, technical = [duration(clip.duration_s)], fact = plainFact) {
  const facts = factsOf(clip).map(([name, text]) => fact(name, text));
  const sentence = descriptionOf(clip);
  return [
    sentence ? make("p", { class: "description" }, String(sentence)) : null,
    make("p", { class: "facts" }, make("span", {}, technical.join(" · ")), ...facts),
  ];
}

const plainFact = (name, text) =>
  make("span", {}, `${name} `, make("span", { class: "value" }, text));

/** Return the links of a clip. */
export function links(clip, name = nameOf(clip)) {
  const id = encodeURIComponent(clip.clip_id);
  const link = (text, to) =>
    make("a", { class: "action", href: to, "aria-label": `${text}: ${name}` }, text);
  return make(
    "p",
    { class: "actions" },
    link("More like this", `#search?like=${id}`),
    link("Take this away", `#search?minus=${id}`),
  );
}

function scaleOf(hits) {
  const values = hits.flatMap((hit) => Object.values(hit.contributions));
  const low = Math.min(0, ...values);
  return { low, span: Math.max(0.01, Math.max(0, ...values) - low) };
}

function contributions(terms, { low, span }) {
  const rows = Object.entries(terms).map(([term, value]) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--from", `${(100 * (Math.min(0, value) - low)) / span}%`);
    bar.style.setProperty("--wide", `${(100 * Math.abs(value)) / span}%`);
    return make(
      "div",
      { class: "contribution", data: { term } },
      make("dt", {}, termName(term)),
      make("dd", {}, bar, make("span", { class: "number" }, signed(value))),
    );
  });
  return make("dl", { class: "contributions", "aria-label": "What the score is made of" }, ...rows);
}

/** Move the focus between the strips of a list on arrow keys. */
export function moveFocus(event, list) {
  const strips = [...list.querySelectorAll(".strip:not(:disabled)")];
  const at = strips.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: strips.length - 1 }[event.key];
  if (at < 0 || to === undefined || !strips[to]) return;
  event.preventDefault();
  strips[to].focus();
}
