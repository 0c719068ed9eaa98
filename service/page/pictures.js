// Pictures of sounds from the service: waveform outline and spectrogram, with a cache.

import { clipPath, get, post, request } from "./api.js";

const COLUMNS = 480;
const AT_ONCE = 3;
const CACHE_SIZE = 400;

const cache = new Map();
const waiting = [];
let running = 0;

/**
 * Return the picture of a clip: {durationS, minima, maxima, shades: {width, height, values}}.
 * A shade is 0 for -100 dB or less and 255 for 0 dB.
 */
export const pictureOfClip = (clip) =>
  once(`${clip.clip_id} ${clip.sha256 ?? clip.updated_at ?? ""}`, () => drawClip(clip.clip_id));

export function pictureOfFile(file) {
  return enqueue(async () => {
    const answer = await post("/pictures", { audio: file, columns: COLUMNS });
    const bytes = Uint8Array.from(atob(answer.spectrogram), (character) => character.charCodeAt(0));
    return shape(answer, new Blob([bytes], { type: "image/png" }));
  });
}

async function drawClip(clipId) {
  const peaks = await get(clipPath(clipId, `/peaks?columns=${COLUMNS}`));
  const response = await request(clipPath(clipId, `/spectrogram?columns=${COLUMNS}`));
  return shape(peaks, await response.blob());
}

async function shape(peaks, png) {
  const { duration_s: durationS, minima, maxima } = peaks;
  return { durationS, minima, maxima, shades: await shadesOf(png) };
}

async function shadesOf(png) {
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return {
    width,
    height,
    values: Uint8Array.from({ length: width * height }, (_, n) => data[4 * n]),
  };
}

function once(key, draw) {
  if (!cache.has(key)) {
    const drawn = enqueue(draw);
    // Errors are not cached.
    drawn.catch(() => cache.delete(key));
    cache.set(key, drawn);
    if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value);
  }
  return cache.get(key);
}

function enqueue(draw) {
  return new Promise((resolve, reject) => {
    waiting.push(() => draw().then(resolve, reject));
    next();
  });
}

function next() {
  if (running >= AT_ONCE || waiting.length === 0) return;
  running += 1;
  waiting
    .shift()()
    .finally(() => {
      running -= 1;
      next();
    });
}
