// The figures under the chart as a table: readings, those that were left out, and what happened, the latest first.

/** @import { Format } from "./format.js" */
import { element, filled } from "./format.js";
import { icon } from "./signs.js";

/** @typedef {{ at: number, index?: number, mark?: ChartMark, event?: Happening }} Row */

/** @param {ChartContent} content @param {Format} format @param {string} change */
export function table(content, format, change) {
  const { register, words } = content;
  const made = element("table");
  const head = made.createTHead().insertRow();
  const columns = [
    [words.read, ""], [words.value, "right"], ...(register.counter ? [[words.consumption, "right"]] : []),
    [words.notes, ""], ...(change ? [[words.change, ""]] : []),
  ];
  for (const [name, style] of columns) {
    const cell = element("th", style, name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const one of rows(content)) body.append(row(one, content, format, change));
  return made;
}

/** @param {ChartContent} content @returns {Row[]} */
function rows(content) {
  const { points, marked, events, findings } = content;
  const said = new Map(marked.map((one) => [one.instant, one]));
  const read = points.at.map((at, index) => ({ at, index, mark: said.get(points.instant[index]) }));
  const shown = new Set(points.instant);
  const beside = marked.filter((one) => !shown.has(one.instant)).map((one) => ({ at: one.at, mark: one }));
  const happened = events.map((one) => ({ at: one.at, event: one }));
  const found = findings.map((one) => ({ at: one.from, event: { ...one, at: one.from, kind: /** @type {SignKind} */ ("finding") } }));
  return [...read, ...beside, ...happened, ...found].sort((one, other) => other.at - one.at);
}

/** @param {Row} row @param {ChartContent} content @param {Format} format @param {string} change */
function row({ at, index, mark, event }, content, format, change) {
  const { points, register, words } = content;
  const made = element("tr", mark ? `row-${mark.kind}` : "");
  made.append(element("td", "nowrap", format.moment(at)));
  const value = index === undefined ? mark?.value : points.value[index];
  const figure = element("td", "right", value === undefined ? "" : format.amount(value));
  made.append(figure);
  if (register.counter) {
    const counted = index === undefined ? undefined : points.consumption[index];
    made.append(element("td", "right", counted === undefined ? "" : counted === null ? words.unknown : format.amount(counted)));
  }
  const notes = element("td", "notes");
  if (mark) notes.append(note(mark.kind, mark.title, mark.reason));
  if (event) notes.append(note(event.kind, event.title, event.reason));
  if (index !== undefined && points.gap[index]) notes.append(note("gap", words.missing, points.missed[index]));
  made.append(notes);
  if (change) {
    const cell = element("td");
    const instant = mark?.instant ?? (index === undefined ? undefined : points.instant[index]);
    if (instant) {
      const link = element("a", "", words.change);
      link.href = change + encodeURIComponent(instant) + "#edit";
      link.setAttribute("aria-label", filled(words.change_of, { time: format.moment(at) }));
      cell.append(link);
    }
    made.append(cell);
  }
  return made;
}

/** @param {SignKind} kind @param {string} title @param {string | null} reason */
function note(kind, title, reason) {
  const made = element("span", "said");
  made.append(icon(kind), element("strong", "", title));
  if (reason) made.append(`: ${reason}`);
  return made;
}
