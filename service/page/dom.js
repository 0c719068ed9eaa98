// Elements: found by id, and made.

export const byId = (id) => document.getElementById(id);

/**
 * Make an element.
 * @param {string} tag
 * @param {object} properties `class`, `on` (listeners by event), `data`, and attributes; an
 *   attribute that is true stands without a value, one that is null, undefined or false not at all.
 * @param {...(Node|string|null)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") listen(element, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function listen(element, listeners) {
  for (const [event, listener] of Object.entries(listeners)) {
    element.addEventListener(event, listener);
  }
}

/** Make a button that does something. */
export function button(text, onClick, properties = {}) {
  return make("button", { type: "button", ...properties, on: { click: onClick } }, text);
}

/** Show a fault in its place, or hide the place where there is none. */
export function showProblem(place, error) {
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}
