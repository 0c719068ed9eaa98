// Upload of files to the library, two at a time, with progress and errors.

import { detailsOf, Problem } from "./api.js";
import { button, make } from "./dom.js";
import { askForKey, authorization } from "./key.js";
import { size } from "./words.js";

const AT_ONCE = 2;
const RETRIES = 5;
const [UNAUTHORIZED, UNAVAILABLE] = [401, 503];

/** Fires `stored` for every clip, and `done` when all files are sent. */
export class Uploads extends EventTarget {
  /** @param {HTMLElement} place of the list  @param {number} maxBytes of one request */
  constructor(place, maxBytes) {
    super();
    this.maxBytes = maxBytes;
    this.waiting = [];
    this.running = 0;
    this.counts = { stored: 0, refused: 0 };
    this.list = make("ul", { class: "uploads" });
    this.clear = button("Clear the list", () => this.#clear());
    this.clear.hidden = true;
    place.append(this.list, this.clear);
  }

  /** Send files. @param {object} metadata for all of them */
  add(files, metadata) {
    for (const file of files) {
      const row = makeRow(file);
      this.list.append(row.element);
      this.waiting.push({ file, metadata, row });
    }
    this.clear.hidden = true;
    this.#next();
  }

  #next() {
    while (this.running < AT_ONCE && this.waiting.length) {
      this.running += 1;
      this.#send(this.waiting.shift()).finally(() => {
        this.running -= 1;
        this.#next();
      });
    }
    if (this.running || this.waiting.length) return;
    this.clear.hidden = this.list.childElementCount === 0;
    this.dispatchEvent(new CustomEvent("done", { detail: this.counts }));
    this.counts = { stored: 0, refused: 0 };
  }

  async #send({ file, metadata, row }) {
    try {
      if (file.size > this.maxBytes) {
        throw new Error(
          `The file has ${size(file.size)}; at most ${size(this.maxBytes)} are taken.`,
        );
      }
      const { status, clip } = await store(file, metadata, row);
      row.finish(
        status === 201 ? "added" : "was there already; its metadata is now this",
        "stored",
      );
      this.counts.stored += 1;
      this.dispatchEvent(new CustomEvent("stored", { detail: clip }));
    } catch (error) {
      row.finish(`refused. ${error.message}`, "refused");
      this.counts.refused += 1;
    }
  }

  #clear() {
    this.list.replaceChildren();
    this.clear.hidden = true;
  }
}

function makeRow(file) {
  const bar = make("progress", { max: "1", value: "0", "aria-label": `Sending ${file.name}` });
  const state = make("span", { class: "state" }, "waiting");
  const element = make("li", {}, make("span", { class: "title" }, file.name), bar, state);
  return {
    element,
    progress(share) {
      bar.value = share;
      state.textContent = share < 1 ? `sending ${Math.round(100 * share)} %` : "listening …";
    },
    finish(text, kind) {
      bar.remove();
      state.textContent = text;
      element.classList.add(kind);
    },
  };
}

async function store(file, metadata, row) {
  for (let attempt = 0; ; attempt += 1) {
    const { status, text, retryAfterS } = await send(file, metadata, row);
    if (status === 200 || status === 201) return { status, clip: JSON.parse(text).clip };
    const problem = new Problem(status, detailsOf(text, status));
    if (status === UNAUTHORIZED && (await askForKey(problem.detail))) continue;
    if (status !== UNAVAILABLE || attempt >= RETRIES) throw problem;
    await new Promise((resolve) => setTimeout(resolve, 1000 * retryAfterS * (attempt + 1)));
  }
}

/** Send a file with XMLHttpRequest, since fetch does not report the progress. */
function send(file, metadata, row) {
  const body = new FormData();
  body.set("audio", file);
  body.set(
    "metadata",
    JSON.stringify({ title: file.name.replace(/\.[^.]+$/, ""), name: file.name, ...metadata }),
  );
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open("POST", "/clips");
    for (const [name, value] of Object.entries(authorization()))
      sender.setRequestHeader(name, value);
    sender.upload.addEventListener("progress", ({ loaded, total }) => row.progress(loaded / total));
    sender.addEventListener("error", () => reject(new Error("The service cannot be reached.")));
    sender.addEventListener("load", () => {
      const retryAfterS = Number(sender.getResponseHeader("retry-after")) || 1;
      resolve({ status: sender.status, text: sender.responseText, retryAfterS });
    });
    sender.send(body);
  });
}
