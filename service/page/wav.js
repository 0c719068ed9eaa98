// Encoder of WAV files: mono, 16 bits.

const HEADER_BYTES = 44;

/** @param {Float32Array[]} blocks samples, -1 to 1  @param {number} sampleRate [Hz] */
export function toWav(blocks, sampleRate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * length));
  writeHeader(view, 2 * length, sampleRate);
  let at = HEADER_BYTES;
  for (const block of blocks) {
    for (const sample of block) {
      const scaled = Math.round(sample * 0x8000);
      view.setInt16(at, Math.max(-0x8000, Math.min(0x7fff, scaled)), true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

function writeHeader(view, dataBytes, sampleRate) {
  const text = (at, word) => [...word].forEach((c, n) => view.setUint8(at + n, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, dataBytes, true);
}
