// Sounds of the page: local files, and clips of the library.

import { clipPath, get } from "./api.js";
import { pictureOfClip, pictureOfFile } from "./pictures.js";
import { nameOf } from "./words.js";

let made = 0;

/** Make a sound of a file; `picture` is requested once, and fails if the service cannot read it. */
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

/** Make a sound of a clip in an answer of the service: of a listing, a hit, or the map. */
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

/** Return the window of a hit in a long clip, {fromS, toS, ofS}; null for other clips. */
export function placeOf({ start_s: fromS, end_s: toS, duration_s: ofS }) {
  const isPart = typeof fromS === "number" && (fromS > 0 || toS < ofS);
  return isPart ? { fromS, toS, ofS } : null;
}

export async function soundById(clipId) {
  return soundOfClip((await get(clipPath(clipId))).clip);
}

/** Return the fields of a request for a sound; none without a sound. */
export function fieldsOf(sound, fileField, idField = `${fileField}_id`) {
  if (!sound) return {};
  return sound.file ? { [fileField]: sound.file } : { [idField]: sound.clipId };
}
