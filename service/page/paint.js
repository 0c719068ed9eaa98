// Drawing of spectrograms and waveform outlines, in the colours of the theme.

import { colour } from "./theme.js";

const DB_PER_SHADE = 100 / 255;
const RANGE_DB = 62;
const LEAST_PEAK = 90;
const OUTLINE_SHARE = 0.24;

/** Set the pixel size of a canvas to its size on the screen; false if it is not visible. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth, clientHeight } = canvas;
  canvas.width = Math.round(clientWidth * ratio);
  canvas.height = Math.round(clientHeight * ratio);
  return canvas.width > 0 && canvas.height > 0;
}

/**
 * Draw a picture: the spectrogram above, the outline of the waveform below.
 * @param {HTMLCanvasElement} canvas after `fit`
 * @param {object} picture of `pictures.js`
 * @param {{ramp: string, spanS: number}} options name of the colour ramp; length of the time axis
 */
export function paintSound(canvas, picture, { ramp = "ramp", spanS = picture.durationS } = {}) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const wide = Math.max(1, width * Math.min(1, picture.durationS / spanS));
  const high = Math.round(height * (1 - OUTLINE_SHARE));
  context.clearRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(coloured(picture.shades, rampColours(ramp)), 0, 0, wide, high);
  paintOutline(context, picture, { wide, top: high, high: height - high });
}

function coloured({ width, height, values }, colours) {
  const image = new ImageData(width, height);
  const peak = Math.max(
    LEAST_PEAK,
    values.reduce((most, value) => Math.max(most, value), 0),
  );
  const range = RANGE_DB / DB_PER_SHADE;
  for (let n = 0; n < values.length; n += 1) {
    const share = Math.min(1, Math.max(0, 1 - (peak - values[n]) / range));
    image.data.set(colours[Math.round(share * (colours.length - 1))], 4 * n);
  }
  return onCanvas(image);
}

function paintOutline(context, { minima, maxima }, { wide, top, high }) {
  const middle = top + high / 2;
  const loudest = Math.max(0.02, ...maxima, ...minima.map((value) => -value));
  const step = wide / minima.length;
  context.fillStyle = colour("outline");
  for (let n = 0; n < minima.length; n += 1) {
    const up = (Math.max(0, maxima[n]) / loudest) * (high / 2);
    const down = (Math.max(0, -minima[n]) / loudest) * (high / 2);
    context.fillRect(n * step, middle - up, Math.max(step, 1), Math.max(1, up + down));
  }
}

/**
 * Draw where a mixture is louder or softer than a reference, over time and frequency, in the
 * colours of gain and loss.
 */
export function paintChange(canvas, mixture, reference, spanS) {
  const context = canvas.getContext("2d");
  const { width, height } = mixture.shades;
  const image = new ImageData(width, height);
  const [gain, loss] = ["gain", "loss"].map((name) => hex(colour(name)));
  const [ours, theirs] = [mixture, reference].map((picture) => onAxis(picture, width, spanS));
  const peak = Math.max(
    LEAST_PEAK,
    ...[ours, theirs].map((one) => one.reduce((a, b) => Math.max(a, b), 0)),
  );
  for (let n = 0; n < ours.length; n += 1) {
    const loudness = Math.max(ours[n], theirs[n]) - (peak - RANGE_DB / DB_PER_SHADE);
    const changeDb = (ours[n] - theirs[n]) * DB_PER_SHADE;
    const strength = loudness > 0 ? Math.min(1, Math.max(0, (Math.abs(changeDb) - 5) / 25)) : 0;
    image.data.set(
      [...(changeDb > 0 ? gain : loss).slice(0, 3), Math.round(255 * strength)],
      4 * n,
    );
  }
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(onCanvas(image), 0, 0, canvas.width, canvas.height);
}

/** Resample the shades of a picture to a time axis of `width` columns; 0 after its end. */
function onAxis({ durationS, shades }, width, spanS) {
  const values = new Float32Array(width * shades.height);
  for (let column = 0; column < width; column += 1) {
    const from = Math.floor((((column + 0.5) / width) * spanS * shades.width) / durationS);
    if (from >= shades.width) break;
    for (let row = 0; row < shades.height; row += 1) {
      values[row * width + column] = smoothed(shades, row, from);
    }
  }
  return values;
}

function smoothed({ width, values }, row, column) {
  let sum = 0;
  let n = 0;
  for (let near = Math.max(0, column - 2); near <= Math.min(width - 1, column + 2); near += 1) {
    sum += values[row * width + near];
    n += 1;
  }
  return sum / n;
}

function rampColours(name) {
  const stops = colour(name).split(/\s+/).map(hex);
  return Array.from({ length: 256 }, (_, n) => {
    const at = (n / 255) * (stops.length - 1);
    const first = Math.min(Math.floor(at), stops.length - 2);
    return stops[first].map((value, i) => value + (stops[first + 1][i] - value) * (at - first));
  });
}

function hex(text) {
  const digits = text.slice(1);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16)).concat(255);
}

function onCanvas(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
