// Input for a sound: a dropped or chosen file, a recording, or a clip of the library.

import { button, make, showProblem } from "./dom.js";
import { pickClip } from "./picker.js";
import { startRecording, MAX_SECONDS } from "./recorder.js";
import { soundOfFile } from "./sound.js";
import { say } from "./status.js";
import { makeStrip } from "./strip.js";

/** Fires `change` when its `sound` has changed or was removed. */
export class Slot extends EventTarget {
  /** @param {HTMLElement} root  @param {{ramp?: string}} look of the strip */
  constructor(root, look = {}) {
    super();
    this.sound = null;
    this.root = root;
    this.look = look;
    this.recording = null;
    this.problem = make("p", { class: "problem", role: "alert", hidden: true });
    this.body = make("div", { class: "slot-body" });
    this.input = make("input", {
      type: "file",
      class: "hidden",
      accept: "audio/*,.flac,.opus,.ogg",
      tabindex: "-1",
      "aria-label": "Sound file",
      on: { change: () => this.takeFile(this.input.files[0]) },
    });
    root.append(this.body, this.problem, this.input);
    this.#listenToDrops();
    this.#showEmpty();
  }

  /** Set the sound; null removes it. */
  put(sound) {
    this.sound = sound;
    this.input.value = "";
    showProblem(this.problem, null);
    if (sound) this.#showSound();
    else this.#showEmpty();
    this.dispatchEvent(new Event("change"));
  }

  takeFile(file) {
    if (file) this.put(soundOfFile(file));
  }

  #showEmpty() {
    this.root.classList.remove("filled");
    this.body.replaceChildren(
      make("p", { class: "invite" }, "Drop a file here, or"),
      make(
        "div",
        { class: "choices" },
        button("Choose a file", () => this.input.click()),
        button("Record", () => this.#record()),
        button("From the library", () => this.#pick()),
      ),
    );
  }

  #showSound() {
    const { sound } = this;
    const clear = button("Remove", () => this.#clear(), { "aria-label": `Remove ${sound.title}` });
    const strip = makeStrip(sound, {
      ...this.look,
      onProblem: (error) => this.sound === sound && showProblem(this.problem, error),
    });
    this.root.classList.add("filled");
    this.body.replaceChildren(
      strip,
      make("div", { class: "slot-line" }, make("strong", { class: "title" }, sound.title), clear),
    );
  }

  #clear() {
    this.put(null);
    this.body.querySelector("button").focus();
  }

  async #pick() {
    const sound = await pickClip();
    if (sound) this.put(sound);
  }

  async #record() {
    const level = make("meter", { min: "0", max: "1", "aria-label": "Level" });
    const time = make("span", { class: "time" }, "0.0 s");
    try {
      this.recording = await startRecording((seconds, peak) => {
        time.textContent = `${seconds.toFixed(1)} s`;
        level.value = peak;
        if (seconds >= MAX_SECONDS) this.#stopRecording();
      });
    } catch (error) {
      showProblem(this.problem, error);
      return;
    }
    showProblem(this.problem, null);
    say("Recording");
    const stop = button("Stop recording", () => this.#stopRecording(), { class: "primary" });
    this.body.replaceChildren(make("div", { class: "recording" }, level, time), stop);
    stop.focus();
  }

  async #stopRecording() {
    const { recording } = this;
    this.recording = null;
    if (!recording) return;
    try {
      this.takeFile(await recording.stop());
      this.body.querySelector("button").focus();
    } catch (error) {
      this.#showEmpty();
      showProblem(this.problem, error);
    }
  }

  #listenToDrops() {
    onDrop(this.root, (files) => this.takeFile(files[0]));
  }
}

/** Accept files that are dropped on an element. */
export function onDrop(element, addFiles) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("dragged");
  });
  element.addEventListener("dragleave", () => element.classList.remove("dragged"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("dragged");
    if (event.dataTransfer.files.length) addFiles([...event.dataTransfer.files]);
  });
}
