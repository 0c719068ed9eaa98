// Player of the page, for one sound at a time.

import { request } from "./api.js";
import { currentKey } from "./key.js";
import { say } from "./status.js";

const audio = new Audio();
const events = new EventTarget();
let playing = null;
let blobUrl = null;

/** A playable sound: `key` identifies it, `file` or `path` has the audio, `title` is announced. */
export const nowPlaying = () => playing?.key ?? null;

export const positionS = () => audio.currentTime;

/** Call a listener at each start and stop. */
export const onPlayerChange = (listener) => events.addEventListener("change", listener);

export async function play(source, fromS = 0) {
  if (playing?.key === source.key) {
    audio.currentTime = fromS;
    return;
  }
  stop();
  playing = source;
  tell();
  try {
    const url = await urlOf(source);
    if (playing !== source) return;
    audio.src = url;
    audio.currentTime = fromS;
    await audio.play();
  } catch (error) {
    if (playing !== source || error.name === "AbortError") return;
    stop();
    say(`${source.title} cannot be played here: ${error.message}`);
  }
}

export function stop() {
  if (!playing) return;
  playing = null;
  audio.pause();
  audio.removeAttribute("src");
  if (blobUrl) URL.revokeObjectURL(blobUrl);
  blobUrl = null;
  tell();
}

export const toggle = (source, fromS = 0) =>
  playing?.key === source.key ? stop() : play(source, fromS);

/** Seek in the current sound. */
export function seekBy(seconds) {
  if (playing) audio.currentTime = Math.max(0, audio.currentTime + seconds);
}

async function urlOf(source) {
  if (!source.file && !currentKey()) return source.path;
  // An audio element cannot send a key; with a key, the audio is fetched first.
  const blob = source.file ?? (await (await request(source.path)).blob());
  if (playing === source) blobUrl = URL.createObjectURL(blob);
  return blobUrl;
}

const tell = () => events.dispatchEvent(new Event("change"));

audio.addEventListener("ended", stop);
