// The page at /: sends forms to the service and lists the clips that come back.

const element = (id) => document.getElementById(id);

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
  return answer;
}

function formBody(form) {
  const body = new FormData();
  for (const [name, value] of new FormData(form)) {
    if (name === "title") {
      if (value) body.set("metadata", JSON.stringify({ title: value }));
    } else if (name.startsWith("modifier")) {
      if (form.elements.modifier.value.trim()) body.set(name, value);
    } else if (!(value instanceof File) || value.name) {
      body.set(name, value);
    }
  }
  return body;
}

function describe(clip) {
  const metadata = Object.entries(clip.metadata).map(([name, value]) => `${name}: ${value}`);
  const duration = clip.duration_s === null ? [] : [`${clip.duration_s.toFixed(1)} s`];
  const score = clip.score === undefined ? [] : [describeScore(clip)];
  return [...score, ...duration, ...metadata].join(" · ");
}

function describeScore(hit) {
  const terms = Object.entries(hit.contributions).map(([name, share]) => `${name} ${share.toFixed(3)}`);
  return `score ${hit.score.toFixed(3)}${terms.length > 1 ? ` (${terms.join(" + ")})` : ""}`;
}

function searchLike(clipId) {
  return run(`Like ${clipId}`, "/search", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ clip_id: clipId }),
  });
}

function listItem(clip) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  const { title, name: file } = clip.metadata;
  name.textContent = title ?? file ?? clip.clip_id;
  const like = document.createElement("button");
  like.type = "button";
  like.textContent = "More like this";
  like.addEventListener("click", () => searchLike(clip.clip_id));
  const facts = document.createElement("div");
  facts.className = "facts";
  facts.textContent = describe(clip);
  item.append(name, " ", like, facts);
  if (clip.audio !== null) {
    const player = document.createElement("audio");
    player.controls = true;
    player.preload = "none";
    player.src = clip.audio;
    item.append(player);
  }
  return item;
}

function note(text, isFault = false) {
  element("note").textContent = text;
  element("note").classList.toggle("fault", isFault);
}

function show(heading, clips, text = "") {
  element("heading").textContent = heading;
  element("clips").replaceChildren(...clips.map(listItem));
  element("more").hidden = true;
  note(text || (clips.length ? "" : "Nothing here."));
  showPhrases([]);
}

function showPhrases(phrases) {
  const items = phrases.map(({ phrase, score }) => {
    const item = document.createElement("li");
    item.textContent = `${phrase} (${score.toFixed(3)})`;
    return item;
  });
  element("phrases").replaceChildren(...items);
}

function summary(answer) {
  if (answer.relative_norm === undefined) return answer.notices.map(({ detail }) => detail).join(" ");
  const numbers = `Relative norm ${answer.relative_norm.toFixed(3)}, cosine ${answer.cosine.toFixed(3)}.`;
  return answer.phrases.length ? `${numbers} In words:` : numbers;
}

async function run(heading, path, options) {
  note("Working…");
  try {
    const answer = await ask(path, options);
    if (answer.clip) return await showLibrary();
    show(heading, answer.hits, summary(answer));
    return showPhrases(answer.phrases ?? []);
  } catch (error) {
    return note(error.message, true);
  }
}

async function showLibrary() {
  const page = await ask("/clips?limit=50");
  show("Library", page.clips);
  offerMore(page.next_cursor);
}

function offerMore(cursor) {
  element("more").hidden = cursor === null;
  element("more").onclick = async () => {
    const page = await ask(`/clips?limit=50&cursor=${encodeURIComponent(cursor)}`);
    element("clips").append(...page.clips.map(listItem));
    offerMore(page.next_cursor);
  };
}

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const heading = form.querySelector("h2").textContent;
    run(heading, form.dataset.path, { method: "POST", body: formBody(form) });
  });
}

for (const range of document.querySelectorAll("input[type=range]")) {
  range.addEventListener("input", () => {
    range.closest("label").querySelector("output").value = range.value;
  });
}

const info = await ask("/info");
for (const words of document.querySelectorAll(".modifier")) {
  words.disabled = words.hidden = !info.modifier;
}
element("bundle").textContent =
  `Bundle ${info.bundle.id} (${info.bundle.fingerprint.slice(0, 12)}), ${info.licence}`;
await showLibrary();
