// The search view: a query of sounds and words, and the clips nearest to it.

import { post } from "./api.js";
import { byId, make, showProblem } from "./dom.js";
import { parseFilter } from "./filter.js";
import { makeHits } from "./hits.js";
import { Slot } from "./slot.js";
import { fieldsOf, soundById } from "./sound.js";
import { offerStarters } from "./starters.js";
import { say } from "./status.js";
import { count } from "./words.js";

let audio = null;
let reference = null;
let running = null;
let takesWords = false;

export function installSearch(info) {
  const slot = (name, ramp) =>
    new Slot(byId("search-form").querySelector(`[data-name=${name}]`), { ramp });
  audio = slot("audio", "ramp");
  reference = slot("reference", "ramp-minus");
  takesWords = info.modifier;
  byId("k").max = info.limits.max_k;
  offerWords();
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("strength").addEventListener("input", showStrength);
  for (const element of [byId("strength"), byId("k"), byId("weight")]) {
    element.addEventListener("change", again);
  }
  for (const slot of [audio, reference]) slot.addEventListener("change", again);
}

/** Show the view; the parameters `like` and `minus` are ids of clips for the query. */
export async function showSearch(parameters) {
  const [like, minus] = [parameters.get("like"), parameters.get("minus")];
  const isNew = byId("search-results").childElementCount === 0;
  try {
    if (!like && !minus) {
      if (isNew) await offerStarters(byId("search-results"));
      return;
    }
    history.replaceState(null, "", "#search");
    if (like) audio.put(await soundById(like));
    if (minus) reference.put(await soundById(minus));
  } catch (error) {
    showProblem(byId("search-problem"), error);
    return;
  }
  if (audio.sound) await search();
}

function offerWords() {
  byId("modifier").disabled = byId("strength").disabled = !takesWords;
  byId("modifier-note").textContent = takesWords ? "" : "The model served here takes no words.";
  showStrength();
}

function showStrength() {
  byId("strength-shown").textContent = Number(byId("strength").value).toFixed(1);
}

/** Search again after a change of the query, if there was a search before. */
function again() {
  const hasAnswer = byId("search-results").querySelector(".equals") !== null;
  if (hasAnswer && (audio.sound || words())) search();
}

const words = () => (takesWords ? byId("modifier").value.trim() : "");

function query() {
  const weight = byId("weight").value;
  return {
    ...fieldsOf(audio.sound, "audio", "clip_id"),
    ...fieldsOf(reference.sound, "reference"),
    modifier: words() || null,
    modifier_strength: words() ? Number(byId("strength").value) : null,
    reference_weight: reference.sound && weight ? Number(weight) : null,
    k: Number(byId("k").value),
    filter: parseFilter(byId("search-filter").value),
  };
}

async function search() {
  const results = byId("search-results");
  running?.abort();
  const mine = new AbortController();
  running = mine;
  results.setAttribute("aria-busy", "true");
  try {
    if (!audio.sound && !words()) throw new Error(nothingToSearch());
    const answer = await post("/search", query(), { signal: mine.signal });
    showProblem(byId("search-problem"), null);
    show(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    results.replaceChildren();
    showProblem(byId("search-problem"), error);
  } finally {
    if (running === mine) results.removeAttribute("aria-busy");
  }
}

const nothingToSearch = () =>
  takesWords
    ? "Give a sound or words to search with; a reference alone is no query."
    : "Give a sound to search with; a reference alone is no query.";

const CHANGES = {
  describe: "",
  add: "with",
  remove: "without",
  louder: "louder",
  quieter: "quieter",
  more: "more",
  less: "less",
  instead_of: "instead of",
  only: "only",
  none: "no sound:",
};

// What was understood of a request; nothing for words that only describe.
function understoodText(understood) {
  if (understood.every(({ change }) => change === "describe")) return null;
  const sounds = understood.map(({ change, sound }) => `${CHANGES[change] ?? change} ${sound}`.trim());
  return make("p", { class: "understood" }, `Understood: ${sounds.join(", ")}`);
}

function show({ hits, notices = [], understood = [] }) {
  const heading = hits.length ? `${count(hits.length, "clip")} nearest to` : "Nothing found for";
  byId("search-results").replaceChildren(
    make("h2", { class: "equals" }, `${heading} `, ...terms()),
    understoodText(understood) ?? "",
    ...notices.map(({ detail }) => make("p", { class: "notice" }, detail)),
    hits.length ? makeHits(hits) : make("p", { class: "empty" }, emptyText()),
  );
  say(
    hits.length
      ? `${count(hits.length, "clip")} found, ${hits[0].score.toFixed(2)} the best score`
      : "Nothing found",
  );
}

function terms() {
  const plus = audio.sound && make("span", { class: "plus" }, audio.sound.title);
  const text =
    words() && `${plus ? " + " : ""}“${words()}” × ${byId("strength-shown").textContent}`;
  const minus = reference.sound && ` − ${reference.sound.title}`;
  return [
    plus,
    text ? make("span", { class: "words" }, text) : null,
    minus ? make("span", { class: "minus" }, minus) : null,
  ].filter(Boolean);
}

const emptyText = () =>
  byId("search-filter").value.trim()
    ? "No clip passes the filter, or the query is empty."
    : "The library is empty, or so is the query: a sound minus itself is nothing.";
