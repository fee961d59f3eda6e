// The meter page's chart: figures of a span, closer where somebody zooms in, and what is said of them.

import { drawAxis } from "./chart/axis.js";
import { table } from "./chart/figures.js";
import { element, filled, Format } from "./chart/format.js";
import { Panes } from "./chart/panes.js";
import { legend } from "./chart/signs.js";

const SHORTEST = 2 * 3600; // s: closer than that there is nothing to see
const CLOSER = 2;

class Chart {
  constructor(place) {
    this.place = place;
    this.source = place.dataset.source;
    this.drawing = element("div", "drawing");
    this.readout = element("div", "readout");
    this.details = document.querySelector("details.figures");
    this.details?.addEventListener("toggle", () => this.fill());
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // The figures of the span, or of a time within it as finely as they are; drawn when they are there.
  async load(zoom = null) {
    const query = zoom ? `&since=${Math.floor(zoom[0])}&until=${Math.ceil(zoom[1])}` : "";
    this.asked = query;
    const answer = await fetch(this.source + query, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`the figures did not come (${answer.status})`);
    const content = await answer.json();
    if (this.asked !== query) return; // something else was asked for since
    this.content = content;
    this.whole ??= [content.from, content.to];
    if (!zoom) this.whole = [content.from, content.to];
    this.zoomed = zoom !== null;
    this.format = new Format(content);
    this.index = content.points.at.length - 1;
    this.draw();
    this.place.dataset.drawn = "true";
  }

  draw() {
    if (!this.content) return;
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
      this.events();
      this.drawing.append(legend(this.content));
      if (this.content.more) {
        this.drawing.append(element("p", "muted", filled(words.cut, { count: this.content.marked.length })));
      }
      this.show(this.index);
    }
    this.fill();
  }

  events() {
    drawAxis(this.panes.axis, this.content, this.format, (at) => this.panes.left(at), (one) => this.open(one));
  }

  resize() {
    if (!this.panes) return;
    this.panes.resize();
    this.events();
  }

  // A bill's or a finding's own place, else its row of the table.
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

  zoom(from, to) {
    const [first, last] = this.whole;
    const length = Math.max(SHORTEST, to - from);
    if (length >= last - first) return this.reset();
    const start = Math.min(Math.max(first, (from + to - length) / 2), last - length);
    return this.load([start, start + length]).catch((error) => this.fail(error));
  }

  reset() {
    return this.zoomed ? this.load().catch((error) => this.fail(error)) : undefined;
  }

  // So many times the time that is shown now, about the point under the cursor.
  scale(factor) {
    const { from, to, points } = this.content;
    const middle = this.index >= 0 && this.index < points.at.length - 1 ? points.at[this.index] : (from + to) / 2;
    const length = (to - from) * factor;
    return this.zoom(middle - length / 2, middle + length / 2);
  }

  pan(share) {
    const { from, to } = this.content;
    if (this.zoomed) this.zoom(from + share * (to - from), to + share * (to - from));
  }

  key(event) {
    if (event.target !== this.place || event.ctrlKey || event.altKey || event.metaKey || !this.panes) return;
    const last = this.content.points.at.length - 1;
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

  move(index) {
    if (this.content.points.at.length === 0) return;
    this.readout.setAttribute("aria-live", "polite");
    this.panes.point(Math.min(this.content.points.at.length - 1, Math.max(0, index)));
  }

  show(index) {
    const { points, findings, register, words } = this.content;
    if (index < 0 || index >= points.at.length) return;
    this.index = index;
    const { format } = this;
    const at = points.at[index];
    const parts = [element("span", "", format.moment(at)), this.figure(words.register, points.value[index])];
    if (points.consumption[index] !== null && register.counter) {
      const since = filled(words.since, { time: format.moment(points.since[index]) });
      parts.push(this.figure(since, points.consumption[index], "+"));
    }
    if (points.gap[index]) {
      const why = points.missed[index];
      parts.push(element("span", "mark", why ? `${words.missing}: ${why}` : words.missing));
    }
    if (points.counted[index]) parts.push(element("span", "mark", words[points.counted[index]]));
    const open = points.since[index] ?? at;
    for (const finding of findings) {
      if (finding.from <= at && (finding.to ?? Infinity) >= open) parts.push(element("span", "mark", finding.title));
    }
    this.readout.replaceChildren(...parts);
  }

  figure(label, decimal, sign = "") {
    const part = element("span", "", `${label} `);
    part.append(element("b", "", sign + this.format.amount(decimal)));
    return part;
  }

  fill() {
    if (!this.details?.open || !this.content) return;
    const target = this.details.querySelector("[data-figures]");
    target.replaceChildren(table(this.content, this.format, this.place.dataset.change ?? ""));
  }

  fail(error) {
    console.warn(error);
    const told = element("p", "muted", this.place.dataset.failing);
    told.setAttribute("role", "alert");
    this.place.replaceChildren(told);
    this.place.dataset.failed = "true";
  }
}

const place = document.getElementById("chart");
if (place) {
  const chart = new Chart(place);
  const latest = () => document.querySelector("[data-last]")?.dataset.last;
  let seen = latest();
  chart.load().catch((error) => chart.fail(error));
  // The live part of the page tells of the last reading, edit and finding: another one is drawn, too.
  document.body.addEventListener("htmx:after:swap", () => {
    if (latest() === seen || chart.zoomed) return;
    seen = latest();
    chart.load().catch((error) => console.warn(error));
  });
}
