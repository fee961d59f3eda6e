// What happened, as a row of signs under the axis of time: each tells its reason to the pointer and to the keyboard.

/** @import { Format } from "./format.js" */
import { element, filled } from "./format.js";
import { icon } from "./signs.js";

const SIZE = 24; // px: the least that a finger or WCAG 2.2 asks of a target
const TOLD = 6;

// Everything with its place in time; findings begin within the chart, or were there when it begins.
/** @param {ChartContent} content @returns {Happening[]} */
function happenings({ findings, marked, events, from, to }) {
  return [
    ...findings.map((one) => ({ ...one, kind: /** @type {SignKind} */ ("finding"), at: Math.max(from, one.from) })),
    ...marked,
    ...events,
  ]
    .filter((one) => one.at >= from && one.at <= to)
    .sort((one, other) => one.at - other.at);
}

// Signs that would cover each other become one.
/** @param {Happening[]} all @param {(at: number) => number} left */
function gathered(all, left) {
  /** @type {Happening[][]} */
  const groups = [];
  for (const one of all) {
    const last = groups.at(-1);
    if (last && left(one.at) - left(last[0].at) < SIZE) last.push(one);
    else groups.push([one]);
  }
  return groups;
}

/**
 * @param {HTMLElement} axis
 * @param {ChartContent} content
 * @param {Format} format
 * @param {(at: number) => number} left
 * @param {(one: Happening) => void} opened
 */
export function drawAxis(axis, content, format, left, opened) {
  const note = element("div", "event-note");
  note.setAttribute("role", "tooltip");
  note.id = "event-note";
  note.hidden = true;
  const signs = gathered(happenings(content), left).map((group) => {
    const button = element("button", "event");
    button.type = "button";
    button.dataset.event = group[0].kind;
    button.style.left = `${(left(group[0].at) + left(group[group.length - 1].at)) / 2 - SIZE / 2}px`;
    button.append(icon(group[0].kind));
    if (group.length > 1) button.append(element("span", "many", String(group.length)));
    button.setAttribute("aria-label", spoken(group, content.words, format));
    const show = () => tell(note, axis, button, group, content.words, format);
    const hide = () => { note.hidden = true; };
    button.addEventListener("pointerenter", show);
    button.addEventListener("focus", show);
    button.addEventListener("pointerleave", hide);
    button.addEventListener("blur", hide);
    button.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
    button.addEventListener("click", () => opened(group[0]));
    return button;
  });
  axis.replaceChildren(...signs, note);
}

/** @param {Happening} one @param {Format} format */
function line(one, format) {
  return `${format.moment(one.from ?? one.at)} \u00b7 ${one.title}${one.reason ? `: ${one.reason}` : ""}`;
}

/** @param {Happening[]} group @param {Record<string, string>} words @param {Format} format */
function spoken(group, words, format) {
  const lines = group.slice(0, TOLD).map((one) => line(one, format));
  return group.length === 1 ? lines[0] : `${filled(words.events, { count: group.length })}. ${lines.join(". ")}`;
}

/**
 * @param {HTMLElement} note
 * @param {HTMLElement} axis
 * @param {HTMLElement} button
 * @param {Happening[]} group
 * @param {Record<string, string>} words
 * @param {Format} format
 */
function tell(note, axis, button, group, words, format) {
  const lines = group.slice(0, TOLD).map((one) => element("p", "", line(one, format)));
  if (group.length > TOLD) lines.push(element("p", "muted", filled(words.more, { count: group.length - TOLD })));
  note.replaceChildren(...lines);
  note.hidden = false;
  const room = axis.clientWidth - note.offsetWidth;
  note.style.left = `${Math.max(0, Math.min(room, button.offsetLeft + SIZE / 2 - note.offsetWidth / 2))}px`;
}
