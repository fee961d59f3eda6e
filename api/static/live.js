// Keeps parts of a page up to date: an element with data-live="findings gateways" gets the event "live", for
// which htmx asks (hx-trigger="live"), when the server says that something of these topics changed.

import { listen } from "./live_stream.js";

const REST = 4000; // ms between two refreshes of a part
/** @type {Map<HTMLElement, number>} */
const due = new Map(); // part -> timer

/** @param {string | null} topic @returns {HTMLElement[]} */
function parts(topic) {
  /** @type {NodeListOf<HTMLElement>} */
  const all = document.querySelectorAll("[data-live]");
  return [...all].filter(
    (part) => topic === null || part.dataset.live?.split(" ").includes(topic),
  );
}

/** @param {HTMLElement} part */
function busy(part) {
  // somebody is choosing or writing in it: what they do must not go away under their hands
  const active = document.activeElement;
  return part.contains(active) && active?.matches("input, select, textarea");
}

/** @param {HTMLElement} part */
function refresh(part) {
  if (due.has(part)) return;
  const last = Number(part.dataset.liveAt ?? 0);
  const wait = Math.max(0, last + REST - Date.now());
  due.set(part, setTimeout(() => {
    due.delete(part);
    if (!part.isConnected) return;
    part.dataset.liveAt = String(Date.now());
    if (busy(part)) { refresh(part); return; }
    part.dispatchEvent(new CustomEvent("live", { bubbles: false }));
  }, wait));
}

/** @param {import("./live_stream.js").Told} told @param {HTMLElement} lost */
function hear(told, lost) {
  lost.hidden = told.event !== "away";
  if (told.event === "away") {
    const since = new Date(told.heard).toLocaleTimeString(document.documentElement.lang);
    lost.textContent = (lost.dataset.words ?? "").replace("{time}", since);
  } else if (told.event === "hello") {
    if (again) parts(null).forEach(refresh); // what changed meanwhile was told to nobody
    again = true;
  } else {
    parts(told.event).forEach(refresh);
  }
}

/** @param {HTMLElement} lost */
function listenWithAllTabs(lost) {
  const options = { name: lost.dataset.of, type: /** @type {const} */ ("module") };
  const { port } = new SharedWorker("/static/live_worker.js", options);
  port.onmessage = (message) => hear(message.data, lost);
  addEventListener("pagehide", () => port.postMessage("goes"));
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

/** @param {HTMLElement} lost */
function listenWhileSeen(lost) {
  /** @type {(() => void) | null} */
  let end = null;
  function look() {
    const seen = document.visibilityState === "visible";
    if (seen && end === null) end = listen((told) => hear(told, lost));
    else if (!seen && end !== null) { end(); end = null; }
  }
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => end?.());
  look();
}

let again = false;
const lost = document.getElementById("lost");
if (lost !== null && parts(null).length) {
  if ("SharedWorker" in window) listenWithAllTabs(lost);
  else listenWhileSeen(lost);
}
