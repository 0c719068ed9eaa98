// The library view: add clips, list them page by page, and delete them.

import { clipPath, get, remove } from "./api.js";
import { confirm } from "./confirm.js";
import { button, byId, make, showProblem } from "./dom.js";
import { filterText, parseFilter } from "./filter.js";
import { about, links, moveFocus } from "./hits.js";
import { soundOfClip } from "./sound.js";
import { say } from "./status.js";
import { onDrop } from "./slot.js";
import { makeStrip } from "./strip.js";
import { Uploads } from "./uploads.js";
import { count, duration, nameOf, size } from "./words.js";

const PAGE = 20;
// Cursors of the pages up to the current one; the first page has none.
let cursors = [null];
let after = null;

export function installLibrary(info) {
  const uploads = new Uploads(byId("uploads"), info.limits.max_body_bytes);
  uploads.addEventListener("done", ({ detail }) => {
    const refused = detail.refused ? `, ${detail.refused} refused` : "";
    say(`${count(detail.stored, "clip")} added${refused}`);
    load();
  });
  installUpload(uploads);
  byId("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    restart();
  });
  byId("filter-clear").addEventListener("click", () => {
    byId("library-filter").value = "";
    restart();
  });
  byId("page-after").addEventListener("click", () => changePage(() => cursors.push(after)));
  byId("page-before").addEventListener("click", () => changePage(() => cursors.pop()));
  byId("clips").addEventListener("keydown", (event) => moveFocus(event, byId("clips")));
}

/** Show the view, with the parameter `filter` in the field for the filter. */
export function showLibrary(parameters) {
  const filter = parameters.get("filter");
  if (filter !== null) {
    byId("library-filter").value = filter;
    cursors = [null];
  }
  return load();
}

function installUpload(uploads) {
  const addFiles = (files) => {
    const kind = byId("upload-kind").value.trim();
    uploads.add(files, kind ? { kind } : {});
  };
  const input = byId("upload-files");
  byId("upload-choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    addFiles([...input.files]);
    input.value = "";
  });
  onDrop(byId("upload-drop"), addFiles);
}

function restart() {
  cursors = [null];
  return load();
}

async function changePage(move) {
  move();
  await load();
  byId("library-count").scrollIntoView({ block: "nearest" });
}

async function load() {
  try {
    const filter = parseFilter(byId("library-filter").value);
    const query = new URLSearchParams({ limit: PAGE });
    if (cursors.at(-1)) query.set("cursor", cursors.at(-1));
    if (filter) query.set("filter", JSON.stringify(filter));
    const [page, info] = await Promise.all([get(`/clips?${query}`), get("/info")]);
    if (page.clips.length === 0 && cursors.length > 1) {
      cursors.pop();
      return await load();
    }
    showProblem(byId("library-problem"), null);
    show(page, info.library.clips, filter !== null);
  } catch (error) {
    showProblem(byId("library-problem"), error);
  }
  return undefined;
}

function show(page, total, isFiltered) {
  after = page.next_cursor;
  byId("clips").replaceChildren(...page.clips.map(row));
  byId("page-before").disabled = cursors.length === 1;
  byId("page-after").disabled = after === null;
  byId("page-number").textContent = `Page ${cursors.length}`;
  const isEmpty = page.clips.length === 0;
  byId("library-count").textContent = isEmpty
    ? isFiltered
      ? "No clip passes the filter."
      : "The library is empty. Add the first sounds above."
    : `${count(total, "clip")} in the library${isFiltered ? "; these pass the filter" : ""}`;
}

function row(clip) {
  const name = nameOf(clip);
  const erase = button("Delete", () => ask(clip, name), {
    class: "danger quiet",
    "aria-label": `Delete ${name}`,
  });
  const actions = links(clip, name);
  actions.append(erase);
  return make(
    "li",
    { class: "clip", data: { clip: clip.clip_id } },
    makeStrip(soundOfClip(clip)),
    make("div", { class: "about" }, make("h2", { class: "title" }, name), ...facts(clip), actions),
  );
}

function facts(clip) {
  const technical = [
    duration(clip.duration_s),
    clip.sample_rate_hz && `${clip.sample_rate_hz / 1000} kHz`,
    clip.size_bytes && size(clip.size_bytes),
  ].filter(Boolean);
  return about(clip, technical, (name, text) => {
    const value = clip.metadata[name];
    const isSimple = !Array.isArray(value) && !text.includes('"');
    const to = `#library?filter=${encodeURIComponent(isSimple ? filterText(name, value) : "")}`;
    return make(
      "span",
      {},
      `${name} `,
      isSimple
        ? make("a", { class: "value", href: to, title: `Only clips with ${name} ${text}` }, text)
        : text,
    );
  });
}

async function ask(clip, name) {
  const isSure = await confirm({
    title: `Delete ${name}?`,
    text:
      clip.source === "referenced"
        ? "It leaves the library; its file stays where it is."
        : "It leaves the library with its audio, for good.",
    yes: "Delete",
  });
  if (!isSure) return;
  try {
    await remove(clipPath(clip.clip_id));
    say(`${name} is deleted`);
    await load();
    byId("library-title").focus();
  } catch (error) {
    showProblem(byId("library-problem"), error);
  }
}
