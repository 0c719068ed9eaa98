// Requests to the service, and its problem details (RFC 9457) as errors.

import { askForKey, authorization, currentKey } from "./key.js";

const UNAUTHORIZED = 401;

/** Error of the service with its problem details; `message` is for people. */
export class Problem extends Error {
  constructor(status, details) {
    super(`${details.title}: ${details.detail}`);
    this.status = status;
    this.code = details.code;
    this.detail = details.detail;
  }
}

/** Send a request with the key, and ask the user for a key as long as the service refuses it. */
export async function request(path, options = {}) {
  for (;;) {
    const sent = currentKey();
    const headers = { ...options.headers, ...authorization() };
    const response = await reach(path, { ...options, headers });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== UNAUTHORIZED) throw problem;
    // Another request may have asked for a key in the meantime.
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

/** Parse the problem details in the text of an answer, which may be from a proxy. */
export function detailsOf(text, status) {
  try {
    const details = JSON.parse(text);
    if (details.title && details.detail) return details;
  } catch {
    // Handled below.
  }
  return { title: `The service answered ${status}`, detail: text.slice(0, 200) || "nothing more" };
}

/** Request JSON with GET. */
export const get = async (path, options) => (await request(path, options)).json();

/** Send values with POST: as a form if one of them is a file, else as JSON. */
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
