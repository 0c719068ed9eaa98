// The difference view: two sounds on one time axis, their distance, and what was added.

import { post } from "./api.js";
import { makeAxis } from "./axis.js";
import { makeCurve } from "./curve.js";
import { byId, make, showProblem } from "./dom.js";
import { makeHits } from "./hits.js";
import { fit, paintChange } from "./paint.js";
import { Slot } from "./slot.js";
import { fieldsOf } from "./sound.js";
import { say } from "./status.js";
import { makeStrip } from "./strip.js";
import { onThemeChange } from "./theme.js";
import { likeness, signed } from "./words.js";

const K = 8;
// The default of the service [s].
const HOP_S = 0.5;
// Share of the windows that the service allows in one answer.
const POINTS_SHARE = 0.9;
let mixture = null;
let reference = null;
let maxPoints = 0;
let repaint = () => {};

export function installDifference(info) {
  maxPoints = Math.floor(POINTS_SHARE * info.limits.max_windows);
  const slot = (name, ramp) =>
    new Slot(byId("difference-form").querySelector(`[data-name=${name}]`), { ramp });
  mixture = slot("mixture", "ramp");
  reference = slot("reference", "ramp-minus");
  byId("difference-form").addEventListener("submit", (event) => {
    event.preventDefault();
    subtract();
  });
  byId("swap").addEventListener("click", swap);
  onThemeChange(() => repaint());
  window.addEventListener("resize", () => repaint());
}

export function showDifference() {
  repaint();
}

function swap() {
  const [first, second] = [mixture.sound, reference.sound];
  mixture.put(second);
  reference.put(first);
  if (byId("difference-results").childElementCount) subtract();
}

async function subtract() {
  const results = byId("difference-results");
  results.setAttribute("aria-busy", "true");
  try {
    const sounds = [mixture.sound, reference.sound];
    if (!sounds.every(Boolean))
      throw new Error("Give both: the mixture, and the reference to subtract.");
    const pictures = await Promise.all(sounds.map((sound) => sound.picture()));
    const answer = await post("/difference", {
      ...fieldsOf(sounds[0], "mixture"),
      ...fieldsOf(sounds[1], "reference"),
      k: K,
      curve: true,
      hop_s: hopS(pictures),
    });
    showProblem(byId("difference-problem"), null);
    results.replaceChildren(
      ...(answer.description ? [make("p", { class: "words-of-it" }, answer.description)] : []),
      verdict(answer),
      timeline(sounds, pictures, answer),
      ...nearest(answer),
    );
    repaint();
    say(`${likeness(answer.cosine)} Relative norm ${answer.relative_norm.toFixed(2)}.`);
  } catch (error) {
    results.replaceChildren();
    showProblem(byId("difference-problem"), error);
  } finally {
    results.removeAttribute("aria-busy");
  }
}

/** Return the step of the curve [s]: longer than the default if there would be too many windows. */
function hopS(pictures) {
  const totalS = pictures.reduce((sum, picture) => sum + picture.durationS, 0);
  return totalS > maxPoints * HOP_S ? totalS / maxPoints : undefined;
}

function verdict(answer) {
  const gauge = make("div", { class: "gauge", "aria-hidden": "true" }, make("span"));
  gauge.firstChild.style.setProperty("--at", `${Math.min(100, 100 * answer.relative_norm)}%`);
  return make(
    "section",
    { class: "verdict", "aria-label": "How different" },
    make(
      "p",
      { class: "big" },
      answer.relative_norm.toFixed(2),
      make("span", { class: "unit" }, " relative norm"),
    ),
    make(
      "div",
      {},
      make("p", { class: "words-of-it" }, likeness(answer.cosine)),
      gauge,
      make(
        "p",
        { class: "gauge-ends", "aria-hidden": "true" },
        make("span", {}, "0 · identical"),
        make("span", {}, "1 · as large as the sounds themselves"),
      ),
      make(
        "dl",
        { class: "measures" },
        ...measures(answer).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]),
      ),
    ),
  );
}

/** Return name and text of the measures beside the norm, without those that the answer lacks. */
function measures(answer) {
  const rows = [["Cosine", signed(answer.cosine, 3).replace("+", "")]];
  if (typeof answer.level_difference_db === "number") {
    rows.push(["Level", `${signed(answer.level_difference_db, 1)} dB`]);
  }
  if (answer.changed !== undefined && answer.changed !== null) {
    const { changed, score } = typeof answer.changed === "object" ? answer.changed : answer;
    const isChanged = typeof changed === "boolean" ? changed : answer.changed === true;
    const rate = answer.changed.false_alarm_rate;
    const often = typeof rate === "number" ? `, as high in ${(100 * rate).toFixed(0)} % of unchanged` : "";
    const suffix = typeof score === "number" ? ` (score ${score.toFixed(2)}${often})` : "";
    const what = answer.changed.what ?? (isChanged ? "yes" : "no");
    rows.push(["Changed", `${what}${suffix}`]);
  }
  return rows;
}

function timeline(sounds, pictures, answer) {
  const spanS = Math.max(...pictures.map((picture) => picture.durationS));
  const change = make("canvas", {
    role: "img",
    "aria-label": "Where the mixture is louder or softer than the reference",
  });
  repaint = () => change.isConnected && fit(change) && paintChange(change, ...pictures, spanS);
  const names = ["the mixture", "the reference"];
  const ramps = ["ramp", "ramp-minus"];
  return make(
    "section",
    { class: "timeline", "aria-label": "Both on one time axis" },
    ...sounds.map((sound, n) =>
      make(
        "figure",
        {},
        make("figcaption", {}, `${names[n]}: ${sound.title}`),
        makeStrip(sound, { ramp: ramps[n], spanS }),
      ),
    ),
    make(
      "figure",
      {},
      make(
        "figcaption",
        {},
        make("span", { class: "gain" }, "louder"),
        " and ",
        make("span", { class: "loss" }, "softer"),
        " in the mixture; meaningful only if both recordings begin at the same time",
      ),
      make("div", { class: "change" }, change),
    ),
    makeCurve(answer.curve, spanS),
    makeAxis(spanS),
  );
}

function nearest(answer) {
  const phrases = (answer.phrases ?? []).map((one) =>
    make(
      "li",
      {},
      one.phrase,
      typeof one.score === "number"
        ? make("span", { class: "number" }, ` ${one.score.toFixed(2)}`)
        : null,
    ),
  );
  return [
    phrases.length ? make("h2", {}, "Sounds like") : null,
    phrases.length ? make("ul", { class: "phrases" }, ...phrases) : null,
    make("h2", {}, "Nearest to what was added"),
    answer.hits.length
      ? makeHits(answer.hits)
      : make("p", { class: "empty" }, "Nothing: the two are the same, or the library is empty."),
  ].filter(Boolean);
}
