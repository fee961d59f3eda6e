// The list of findings under the keyboard: arrows go from box to box, Shift with a click or Space chooses
// all between, and one box chooses all. While something is chosen the list does not change under one's hands.
// The address says what the list was narrowed to, so that it can be kept and sent to somebody.

const boxes = () => [...document.querySelectorAll("[data-work] .tick")];
const chosen = () => boxes().filter((box) => box.checked);
let last = null;

function tell() {
  const all = document.querySelector("[data-choose-all]");
  const said = document.querySelector("[data-chosen]");
  if (!all || !said) return;
  all.hidden = false;
  const count = chosen().length;
  const box = all.querySelector("input");
  box.checked = count > 0 && count === boxes().length;
  box.indeterminate = count > 0 && !box.checked;
  said.textContent = count ? `${said.dataset.some} ${count}` : said.dataset.none;
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-work] .tick");
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
  const filter = event.target.form;
  if (filter?.matches(".work-filter")) {
    history.replaceState(null, "", `${filter.action}?${new URLSearchParams(new FormData(filter))}`);
  }
  if (event.target.closest?.("[data-choose-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
    tell();
  }
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-work] .tick") || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const every = boxes();
  const next = every[every.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});

document.addEventListener("live", (event) => {
  if (event.target.querySelector?.(".tick:checked")) event.stopImmediatePropagation();
}, true);

new MutationObserver(tell).observe(document.querySelector("main"), { childList: true });
tell();
