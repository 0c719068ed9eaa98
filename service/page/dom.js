// Helpers to find and make elements.

export const byId = (id) => document.getElementById(id);

/**
 * Make an element.
 * @param {string} tag
 * @param {object} properties `class`, `on` (listeners by event), `data`, and attributes; an
 *   attribute that is true gets no value; one that is null, undefined or false is left out.
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

/** Make a button with a listener for clicks. */
export function button(text, onClick, properties = {}) {
  return make("button", { type: "button", ...properties, on: { click: onClick } }, text);
}

/** Show an error in an element, or hide the element without an error. */
export function showProblem(place, error) {
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}
