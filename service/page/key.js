// The API key if the service needs one: stored for this tab, and sent with every request.

import { byId } from "./dom.js";

const PLACE = "minuend-key";
let asking = null;

export const currentKey = () => sessionStorage.getItem(PLACE);

export function authorization() {
  const key = currentKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Ask the user for a key, once for all waiting requests; resolves to whether one was given. */
export function askForKey(why) {
  asking ??= open(why).finally(() => {
    asking = null;
  });
  return asking;
}

function open(why) {
  const dialog = byId("key");
  byId("key-text").textContent = why;
  byId("key-input").value = "";
  dialog.returnValue = "cancel";
  byId("key-cancel").onclick = () => dialog.close("cancel");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const key = byId("key-input").value.trim();
        const isGiven = dialog.returnValue === "use" && key !== "";
        if (isGiven) sessionStorage.setItem(PLACE, key);
        resolve(isGiven);
      },
      { once: true },
    );
  });
}
