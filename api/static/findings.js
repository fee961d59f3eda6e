// The list of findings under the keyboard: arrows go from box to box, Shift with a click or Space chooses
// all between, and one box chooses all. While something is chosen the list does not change under one's hands.
// The address says what the list was narrowed to, so that it can be kept and sent to somebody.

/** @returns {HTMLInputElement[]} */
const boxes = () => [...document.querySelectorAll("[data-work] .tick")].filter((one) => one instanceof HTMLInputElement);
const chosen = () => boxes().filter((box) => box.checked);
/** @type {HTMLInputElement | null} */
let last = null;

// The box that an event is about.
/** @param {Event} event */
function boxOf(event) {
  const box = event.target instanceof Element && event.target.closest("[data-work] .tick");
  return box instanceof HTMLInputElement ? box : null;
}

function tell() {
  /** @type {HTMLElement | null} */
  const all = document.querySelector("[data-choose-all]");
  /** @type {HTMLElement | null} */
  const said = document.querySelector("[data-chosen]");
  const box = all?.querySelector("input");
  if (!all || !said || !box) return;
  all.hidden = false;
  const count = chosen().length;
  box.checked = count > 0 && count === boxes().length;
  box.indeterminate = count > 0 && !box.checked;
  said.textContent = count ? `${said.dataset.some} ${count}` : (said.dataset.none ?? "");
}

document.addEventListener("click", (event) => {
  const box = boxOf(event);
  if (!box) return;
  const every = boxes();
  if (event.shiftKey && last?.isConnected) {
    const [from, to] = [every.indexOf(last), every.indexOf(box)].sort((one, other) => one - other);
    for (const between of every.slice(from, to + 1)) between.checked = box.checked;
  }
  last = box;
  tell();
});

document.addEventListener("change", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) return;
  if (field.form?.matches(".work-filter")) {
    /** @type {[string, string][]} */
    const asked = [...new FormData(field.form)].map(([name, value]) => [name, String(value)]);
    history.replaceState(null, "", `${field.form.action}?${new URLSearchParams(asked)}`);
  }
  if (field instanceof HTMLInputElement && field.closest("[data-choose-all]")) {
    for (const box of boxes()) box.checked = field.checked;
    tell();
  }
});

document.addEventListener("keydown", (event) => {
  const box = boxOf(event);
  if (!box || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const every = boxes();
  const next = every[every.indexOf(box) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});

document.addEventListener("live", (event) => {
  if (event.target instanceof Element && event.target.querySelector(".tick:checked")) event.stopImmediatePropagation();
}, true);

new MutationObserver(tell).observe(document.querySelector("main") ?? document.body, { childList: true });
tell();
