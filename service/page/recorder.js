// Recording of the microphone as a WAV file; few decoders read the containers of browsers.

import { toWav } from "./wav.js";

export const MAX_SECONDS = 120;

/**
 * Start recording.
 * @param {(seconds: number, level: number) => void} onProgress level is the peak, 0 to 1
 * @returns {Promise<{stop: () => Promise<File>}>}
 * @throws {Error} with the reason why there is no microphone
 */
export async function startRecording(onProgress) {
  const stream = await microphone();
  const context = new AudioContext();
  const blocks = [];
  let n = 0;
  try {
    await context.audioWorklet.addModule("/page/recorder-worklet.js");
  } catch (error) {
    close(stream, context);
    throw error;
  }
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => {
    if (n / context.sampleRate >= MAX_SECONDS) return;
    blocks.push(data);
    n += data.length;
    onProgress(
      n / context.sampleRate,
      data.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    );
  };
  context.createMediaStreamSource(stream).connect(node);
  return {
    async stop() {
      const wav = toWav(blocks, context.sampleRate);
      close(stream, context);
      if (n === 0) throw new Error("The microphone gave no sound.");
      return new File([wav], `recording ${new Date().toLocaleTimeString()}.wav`, {
        type: wav.type,
      });
    },
  };
}

async function microphone() {
  if (!navigator.mediaDevices) {
    throw new Error("The microphone needs a secure address: https, or localhost.");
  }
  // Record the sounds of the place unchanged; these filters would keep only speech.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(`There is no microphone to record from: ${error.message}`, { cause: error });
  }
}

function close(stream, context) {
  for (const track of stream.getTracks()) track.stop();
  context.close();
}
