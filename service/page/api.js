// Requests to the service, and its problem details (RFC 9457) as errors.

import { askForKey, authorization, currentKey } from "./key.js";

const UNAUTHORIZED = 401;

/** What the service says went wrong; `message` is for people. */
export class Problem extends Error {
  constructor(status, details) {
    super(`${details.title}: ${details.detail}`);
    this.status = status;
    this.code = details.code;
    this.detail = details.detail;
  }
}

/** Send a request with the key; asks for a key, and again, while the service wants another. */
export async function request(path, options = {}) {
  for (;;) {
    const sent = currentKey();
    const headers = { ...options.headers, ...authorization() };
    const response = await reach(path, { ...options, headers });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== UNAUTHORIZED) throw problem;
    // Another request may have got a key in the meantime.
    if (currentKey() === sent && !(await askForKey(problem.detail))) throw problem;
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached. Is it still running?", { cause: error });
  }
}

async function problemOf(response) {
  return new Problem(response.status, detailsOf(await response.text(), response.status));
}

/** Read a problem from the text of an answer, which a proxy may have written. */
export function detailsOf(text, status) {
  try {
    const details = JSON.parse(text);
    if (details.title && details.detail) return details;
  } catch {
    // It is told below.
  }
  return { title: `The service answered ${status}`, detail: text.slice(0, 200) || "nothing more" };
}

/** Get JSON. */
export const get = async (path, options) => (await request(path, options)).json();

/** Post fields and files: as a form if there is a file among them, else as JSON. */
export async function post(path, values, options = {}) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  const hasFile = given.some(([, value]) => value instanceof Blob);
  const body = hasFile ? formOf(given) : JSON.stringify(Object.fromEntries(given));
  const headers = hasFile ? {} : { "content-type": "application/json" };
  return (await request(path, { ...options, method: "POST", headers, body })).json();
}

function formOf(given) {
  const form = new FormData();
  for (const [name, value] of given) {
    const isObject = typeof value === "object" && !(value instanceof Blob);
    form.set(name, isObject ? JSON.stringify(value) : value);
  }
  return form;
}

export const remove = (path) => request(path, { method: "DELETE" });

export const clipPath = (clipId, rest = "") => `/clips/${encodeURIComponent(clipId)}${rest}`;
