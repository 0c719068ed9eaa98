// Texts for numbers and clips.

export function nameOf(clip) {
  const { title, name } = clip.metadata ?? {};
  return String(title || name || clip.title || clip.clip_id);
}

// Metadata that is shown elsewhere: as name, description or duration.
const SHOWN_ELSEWHERE = new Set(["title", "name", "description", "seconds"]);

/** Return the description of a clip in its metadata, or null. */
export const descriptionOf = (clip) => clip.metadata?.description ?? null;

/** Return the other metadata of a clip as [name, text] pairs. */
export function factsOf(clip) {
  return Object.entries(clip.metadata ?? {})
    .filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null && value !== "." && value !== "")
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "length unknown";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes} min ${Math.round(seconds - 60 * minutes)} s`;
}

/** Format a time in a recording like a player. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (n) => String(n).padStart(2, "0");
  const rest = two(whole % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** Format a window of a recording. */
export const span = ({ fromS, toS }) => `${clock(fromS)}–${clock(toS)}`;

export function size(bytes) {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

/** Format a number with its sign and a true minus. */
export function signed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : `+${text}`;
}

const LIKENESS = [
  [0.9999, "The two sound the same to the encoder."],
  [0.9, "The two are very alike; what differs is small."],
  [0.6, "The two are alike, but something clearly differs."],
  [0.2, "The two share something, but differ in most."],
  [-1, "The two have little in common."],
];

/** Describe the cosine of two centred embeddings. */
export const likeness = (cosine) =>
  LIKENESS.find(([least]) => cosine >= least)?.[1] ?? LIKENESS.at(-1)[1];

const TERMS = {
  audio: "sound",
  difference: "what remains",
  modifier: "words",
  reference: "taken away",
};

/** Return the display name of a term of a score. */
export const termName = (term) => TERMS[term] ?? term.replaceAll("_", " ");
