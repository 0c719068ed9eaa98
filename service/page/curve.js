// Curve of the distance of a mixture from its reference over time.

import { make } from "./dom.js";

const HEIGHT = 100;

/**
 * Draw a curve; returns null without one.
 * @param {?{start_s: number, end_s: number, relative_norm: number, phrases?: object[]}[]} curve
 * @param {number} spanS length of the time axis
 */
export function makeCurve(curve, spanS) {
  if (!Array.isArray(curve) || curve.length === 0) return null;
  const most = Math.max(0.01, ...curve.map((point) => point.relative_norm));
  const steps = curve.flatMap(({ start_s: from, end_s: to, relative_norm: norm }) => {
    const y = HEIGHT * (1 - norm / most);
    return [`${(1000 * from) / spanS},${y}`, `${(1000 * to) / spanS},${y}`];
  });
  return make(
    "figure",
    { class: "curve" },
    make("figcaption", {}, `how far from the reference; the highest is ${most.toFixed(2)}`),
    svg(
      "svg",
      {
        viewBox: `0 0 1000 ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": "Distance over time",
      },
      [svg("polyline", { points: steps.join(" "), "vector-effect": "non-scaling-stroke" })],
    ),
    peaksOf(curve),
  );
}

/** Return a list of the phrases of the peaks, in order of time. */
function peaksOf(curve) {
  const peaks = curve.filter((point) => point.phrases?.length);
  if (!peaks.length) return null;
  return make(
    "ol",
    { class: "peaks" },
    ...peaks.map((point) =>
      make(
        "li",
        {},
        make("span", { class: "number" }, `${point.start_s.toFixed(1)} s `),
        point.phrases[0].phrase,
      ),
    ),
  );
}

function svg(tag, attributes, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
