// The gateway page's charts: a small pane for each figure that it tells, all over the same time.
// Lines of one pane differ by their dashes as well as by their hue, and the legend names them.

import { element, token } from "./chart/format.js";

const HUES = ["--accent", "--heat", "--cold", "--electricity", "--gas", "--good"];
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3], [1, 5], [12, 4]];
const HEIGHT = 130;

// Where no line can be drawn: nothing is known before and after.
/** @param {(number | null)[]} values */
function alone(values) {
  const known = (/** @type {number} */ index) => (values[index] ?? null) !== null;
  return [...values.keys()].filter((index) => known(index) && !known(index - 1) && !known(index + 1));
}

class Trends {
  /** @param {HTMLElement} place @param {TrendContent} content */
  constructor(place, content) {
    this.place = place;
    this.content = content;
    /** @type {uPlot[]} */
    this.plots = [];
    /** @type {Intl.DateTimeFormatOptions} */
    const options = { timeZone: content.zone, hourCycle: "h23" };
    this.moment = new Intl.DateTimeFormat(content.locale, { ...options, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    this.hours = new Intl.DateTimeFormat(content.locale, { ...options, hour: "2-digit", minute: "2-digit" });
    this.days = new Intl.DateTimeFormat(content.locale, { ...options, day: "numeric", month: "short" });
  }

  draw() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
    this.place.replaceChildren();
    for (const pane of this.content.panes) {
      if (pane.series.some((one) => one.values.some((value) => value !== null))) this.pane(pane);
    }
  }

  /** @param {TrendPane} pane */
  pane(pane) {
    const box = element("div", "pane");
    box.append(element("h3", "", pane.unit ? `${pane.title}, ${pane.unit}` : pane.title));
    this.place.append(box);
    const axis = {
      stroke: token("--muted"), font: `12px ${getComputedStyle(document.body).fontFamily}`,
      grid: { stroke: token("--line"), width: 1 }, ticks: { show: false },
    };
    const written = (/** @type {number} */ value) => this.written(value) + (pane.unit ? `\u202f${pane.unit}` : "");
    this.plots.push(new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        padding: [8, 12, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.content.zone),
        cursor: { sync: { key: "gateway", setSeries: false }, y: false, drag: { x: false, y: false } },
        legend: { show: true, live: true },
        scales: {
          x: { time: true, range: () => [this.content.from, this.content.to] },
          y: { range: (_plot, _low, high) => [0, pane.unit === "%" ? 100 : Math.max(1, (high ?? 0) * 1.15)] },
        },
        axes: [
          { ...axis, space: 64, size: 28, values: (_plot, splits, _axis, _space, step) => splits.map((at) => this.label(at, step)) },
          { ...axis, space: 30, size: 52, values: (_plot, splits) => splits.map((value) => this.written(value)) },
        ],
        series: [
          { label: this.content.time, value: (_plot, at) => (at === null ? "" : this.moment.format(at * 1000)) },
          ...pane.series.map((one, index) => ({
            label: one.label,
            stroke: token(HUES[index % HUES.length]),
            dash: DASHES[index % DASHES.length],
            width: 1.75,
            points: { size: 5, filter: (/** @type {uPlot} */ plot, /** @type {number} */ series) => alone(plot.data[series]) },
            value: (/** @type {uPlot} */ _plot, /** @type {number | null} */ value) => (value === null ? "" : written(value)),
          })),
        ],
      },
      [this.content.at, ...pane.series.map((one) => one.values)],
      box,
    ));
    box.append(this.figures(pane, written));
  }

  /** @param {number} value */
  written(value) {
    return String(Math.round(value * 10) / 10).replace(".", this.content.decimal).replace("-", "\u2212");
  }

  /** @param {number} at @param {number} step */
  label(at, step) {
    const hours = this.hours.format(at * 1000);
    return step >= 86400 || hours === "00:00" ? this.days.format(at * 1000) : hours;
  }

  // The same for those who do not see the lines.
  /** @param {TrendPane} pane @param {(value: number) => string} written */
  figures(pane, written) {
    const hidden = element("div", "unseen");
    const table = element("table");
    hidden.append(table);
    table.createCaption().textContent = pane.title;
    const head = table.createTHead().insertRow();
    head.insertCell();
    for (const one of pane.series) {
      const cell = element("th", "", one.label);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    this.content.at.forEach((at, index) => {
      if (pane.series.every((one) => one.values[index] === null)) return;
      const row = body.insertRow();
      row.insertCell().textContent = this.moment.format(at * 1000);
      for (const { values } of pane.series) row.insertCell().textContent = values[index] === null ? "" : written(values[index]);
    });
    return hidden;
  }

  resize() {
    for (const plot of this.plots) plot.setSize({ width: plot.root.parentElement?.clientWidth ?? 0, height: HEIGHT });
  }
}

// A word in place of the charts.
/** @param {HTMLElement} place @param {string} [text] */
function tell(place, text) {
  const status = place.querySelector("[data-status]");
  if (status) status.textContent = text ?? "";
}

/** @param {HTMLElement} place */
async function begin(place) {
  const answer = await fetch(place.dataset.source ?? "", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`the figures did not come (${answer.status})`);
  /** @type {TrendContent} */
  const content = await answer.json();
  if (content.empty) {
    tell(place, place.dataset.nothing);
  } else {
    const trends = new Trends(place, content);
    trends.draw();
    new ResizeObserver(() => trends.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => trends.draw());
  }
  place.dataset.drawn = "true";
}

const place = document.getElementById("trends");
if (place) begin(place).catch((error) => {
  tell(place, place.dataset.failed);
  place.dataset.drawn = "true";
  console.warn(error);
});
