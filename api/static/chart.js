// The meter page's chart: figures of a span, closer where somebody zooms in, and what is said of them.

import { drawAxis } from "./chart/axis.js";
import { table } from "./chart/figures.js";
import { element, filled, Format } from "./chart/format.js";
import { Panes } from "./chart/panes.js";
import { legend } from "./chart/signs.js";

const SHORTEST = 2 * 3600; // s: closer than that there is nothing to see
const CLOSER = 2;

// The figures of the span, or with a query those of a time within it, as finely as they are.
/** @param {string} address @returns {Promise<ChartContent>} */
async function figures(address) {
  const answer = await fetch(address, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`the figures did not come (${answer.status})`);
  return answer.json();
}

class Chart {
  /** @param {HTMLElement} place @param {ChartContent} content */
  constructor(place, content) {
    this.place = place;
    this.source = place.dataset.source ?? "";
    this.asked = "";
    this.drawing = element("div", "drawing");
    this.readout = element("div", "readout");
    /** @type {HTMLDetailsElement | null} */
    this.details = document.querySelector("details.figures");
    this.details?.addEventListener("toggle", () => this.fill());
    /** @type {Panes | null} */
    this.panes = null;
    this.content = content;
    this.format = new Format(content);
    this.whole = [content.from, content.to];
    this.zoomed = false;
    this.index = content.points.at.length - 1;
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.draw();
  }

  // Draws the span, or a time within it, when its figures are there.
  /** @param {[number, number] | null} zoom */
  async load(zoom = null) {
    const query = zoom ? `&since=${Math.floor(zoom[0])}&until=${Math.ceil(zoom[1])}` : "";
    this.asked = query;
    const content = await figures(this.source + query);
    if (this.asked !== query) return; // something else was asked for since
    this.content = content;
    if (!zoom) this.whole = [content.from, content.to];
    this.zoomed = zoom !== null;
    this.format = new Format(content);
    this.index = content.points.at.length - 1;
    this.draw();
  }

  draw() {
    const { points, words } = this.content;
    this.panes?.destroy();
    this.drawing.replaceChildren();
    this.place.replaceChildren(this.bar(), this.readout, this.drawing);
    if (points.at.length === 0 && this.content.marked.length === 0) {
      this.panes = null;
      this.readout.replaceChildren(element("span", "muted", words.empty));
    } else {
      this.panes = new Panes(this.drawing, this.content, this.format, {
        chosen: (from, to) => this.zoom(from, to),
        pointed: (index) => this.show(index),
      });
      this.events(this.panes);
      this.drawing.append(legend(this.content));
      if (this.content.more) {
        this.drawing.append(element("p", "muted", filled(words.cut, { count: this.content.marked.length })));
      }
      this.show(this.index);
    }
    this.fill();
    this.place.dataset.drawn = "true";
  }

  /** @param {Panes} panes */
  events(panes) {
    drawAxis(panes.axis, this.content, this.format, (at) => panes.left(at), (one) => this.open(one));
  }

  resize() {
    if (!this.panes) return;
    this.panes.resize();
    this.events(this.panes);
  }

  // A bill's or a finding's own place, else its row of the table.
  /** @param {Happening} one */
  open(one) {
    if (one.href) location.assign(one.href);
    else if (one.kind === "finding") location.hash = `finding-${one.id}`;
    else if (this.details) {
      this.details.open = true;
      this.details.scrollIntoView({ block: "nearest" });
    }
  }

  bar() {
    const { words } = this.content;
    const bar = element("div", "zoom");
    /** @param {string} sign @param {string} name @param {() => void} act */
    const button = (sign, name, act) => {
      const made = element("button", "plain", sign);
      made.type = "button";
      if (sign !== name) made.setAttribute("aria-label", name);
      made.title = name;
      made.addEventListener("click", act);
      bar.append(made);
      return made;
    };
    if (this.zoomed) {
      const { from, to } = this.content;
      const time = { from: this.format.moment(from), to: this.format.moment(to) };
      const told = element("span", "muted", filled(words.zoomed, time));
      told.setAttribute("role", "status");
      bar.append(told);
      button(words.whole, words.whole, () => this.reset()).dataset.zoom = "whole";
    } else {
      bar.append(element("span", "muted hint-keys", words.keys));
    }
    button("\u2212", words.further, () => this.scale(CLOSER)).dataset.zoom = "further";
    button("+", words.closer, () => this.scale(1 / CLOSER)).dataset.zoom = "closer";
    return bar;
  }

  /** @param {number} from @param {number} to */
  zoom(from, to) {
    const [first, last] = this.whole;
    const length = Math.max(SHORTEST, to - from);
    if (length >= last - first) return this.reset();
    const start = Math.min(Math.max(first, (from + to - length) / 2), last - length);
    return this.load([start, start + length]).catch((error) => fail(this.place, error));
  }

  reset() {
    return this.zoomed ? this.load().catch((error) => fail(this.place, error)) : undefined;
  }

  // So many times the time that is shown now, about the point under the cursor.
  /** @param {number} factor */
  scale(factor) {
    const { from, to, points } = this.content;
    const middle = this.index >= 0 && this.index < points.at.length - 1 ? points.at[this.index] : (from + to) / 2;
    const length = (to - from) * factor;
    return this.zoom(middle - length / 2, middle + length / 2);
  }

  /** @param {number} share */
  pan(share) {
    const { from, to } = this.content;
    if (this.zoomed) this.zoom(from + share * (to - from), to + share * (to - from));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.place || event.ctrlKey || event.altKey || event.metaKey || !this.panes) return;
    const last = this.content.points.at.length - 1;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => (event.shiftKey ? this.pan(-0.5) : this.move(this.index - 1)),
      ArrowRight: () => (event.shiftKey ? this.pan(0.5) : this.move(this.index + 1)),
      Home: () => this.move(0),
      End: () => this.move(last),
      "+": () => this.scale(1 / CLOSER),
      "=": () => this.scale(1 / CLOSER),
      "-": () => this.scale(CLOSER),
      0: () => this.reset(),
      Escape: () => this.reset(),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** @param {number} index */
  move(index) {
    if (!this.panes || this.content.points.at.length === 0) return;
    this.readout.setAttribute("aria-live", "polite");
    this.panes.point(Math.min(this.content.points.at.length - 1, Math.max(0, index)));
  }

  /** @param {number} index */
  show(index) {
    const { points, findings, register, words } = this.content;
    if (index < 0 || index >= points.at.length) return;
    this.index = index;
    const { format } = this;
    const at = points.at[index];
    const parts = [element("span", "", format.moment(at)), this.figure(words.register, points.value[index])];
    const [used, since] = [points.consumption[index], points.since[index]];
    if (used !== null && since !== null && register.counter) {
      parts.push(this.figure(filled(words.since, { time: format.moment(since) }), used, "+"));
    }
    if (points.gap[index]) {
      const why = points.missed[index];
      parts.push(element("span", "mark", why ? `${words.missing}: ${why}` : words.missing));
    }
    const counted = points.counted[index];
    if (counted) parts.push(element("span", "mark", words[counted]));
    const open = since ?? at;
    for (const finding of findings) {
      if (finding.from <= at && (finding.to ?? Infinity) >= open) parts.push(element("span", "mark", finding.title));
    }
    this.readout.replaceChildren(...parts);
  }

  /** @param {string} label @param {string} decimal */
  figure(label, decimal, sign = "") {
    const part = element("span", "", `${label} `);
    part.append(element("b", "", sign + this.format.amount(decimal)));
    return part;
  }

  fill() {
    if (!this.details?.open) return;
    const target = this.details.querySelector("[data-figures]");
    target?.replaceChildren(table(this.content, this.format, this.place.dataset.change ?? ""));
  }
}

/** @param {HTMLElement} place @param {unknown} error */
function fail(place, error) {
  console.warn(error);
  const told = element("p", "muted", place.dataset.failing);
  told.setAttribute("role", "alert");
  place.replaceChildren(told);
  place.dataset.failed = "true";
}

function latest() {
  /** @type {HTMLElement | null} */
  const said = document.querySelector("[data-last]");
  return said?.dataset.last;
}

/** @param {HTMLElement} place */
async function begin(place) {
  let seen = latest();
  const chart = new Chart(place, await figures(place.dataset.source ?? ""));
  // The live part of the page tells of the last reading, edit and finding: another one is drawn, too.
  document.body.addEventListener("htmx:after:swap", () => {
    if (latest() === seen || chart.zoomed) return;
    seen = latest();
    chart.load().catch((error) => console.warn(error));
  });
}

const place = document.getElementById("chart");
if (place) begin(place).catch((error) => fail(place, error));
