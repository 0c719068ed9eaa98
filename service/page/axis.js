// Time axis below strips.

import { make } from "./dom.js";

const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
const MOST_TICKS = 10;

/** Return the step between ticks of an axis [s]. */
export const stepOf = (spanS) =>
  STEPS_S.find((step) => spanS / step <= MOST_TICKS) ?? STEPS_S.at(-1);

export function makeAxis(spanS) {
  const step = stepOf(spanS);
  // The number of a tick at the very end would be outside.
  const ticks = Array.from({ length: Math.floor((0.96 * spanS) / step) + 1 }, (_, n) => {
    const tick = make("span", {}, `${Number((n * step).toFixed(1))}`);
    tick.style.setProperty("--at", `${(100 * n * step) / spanS}%`);
    return tick;
  });
  return make(
    "div",
    { class: "axis", "aria-hidden": "true" },
    ...ticks,
    make("span", { class: "unit" }, "s"),
  );
}
