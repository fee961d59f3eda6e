// Keeps parts of a page up to date: an element with data-live="findings gateways" gets the event "live", for
// which htmx asks (hx-trigger="live"), when the server says that something of these topics changed.

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

if (parts(null).length) {
  const source = new EventSource("/events");
  let again = false;
  source.addEventListener("hello", () => {
    if (again) parts(null).forEach(refresh); // what changed meanwhile was told to nobody
    again = true;
  });
  for (const topic of ["readings", "findings", "edits", "quarantine", "gateways", "months", "deliveries"]) {
    source.addEventListener(topic, () => parts(topic).forEach(refresh));
  }
  addEventListener("pagehide", () => source.close());
}
