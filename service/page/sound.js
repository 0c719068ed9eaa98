// A sound that the page works with: a file of this machine, or a clip of the library.

import { clipPath, get } from "./api.js";
import { pictureOfClip, pictureOfFile } from "./pictures.js";
import { nameOf } from "./words.js";

let made = 0;

/** A file: `picture` is drawn once, and fails if the service cannot read it. */
export function soundOfFile(file) {
  made += 1;
  let drawn = null;
  return {
    key: `file ${made}`,
    title: file.name,
    file,
    picture: () => (drawn ??= pictureOfFile(file)),
  };
}

/** A clip as the service tells of it: of a listing, a hit, or a point of the map. */
export function soundOfClip(clip) {
  return {
    key: `clip ${clip.clip_id}`,
    title: nameOf(clip),
    clipId: clip.clip_id,
    path: clip.audio,
    place: placeOf(clip),
    picture: () => pictureOfClip(clip),
  };
}

/** Where in a long clip a hit is: {fromS, toS, ofS}; null for a clip that is short or no hit. */
export function placeOf({ start_s: fromS, end_s: toS, duration_s: ofS }) {
  const isPart = typeof fromS === "number" && (fromS > 0 || toS < ofS);
  return isPart ? { fromS, toS, ofS } : null;
}

export async function soundById(clipId) {
  return soundOfClip((await get(clipPath(clipId))).clip);
}

/** The fields by which a request names a sound, if there is one. */
export function fieldsOf(sound, fileField, idField = `${fileField}_id`) {
  if (!sound) return {};
  return sound.file ? { [fileField]: sound.file } : { [idField]: sound.clipId };
}
