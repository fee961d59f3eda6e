// The two panes: the register above, its consumption below, on one axis of time.

/** @import { Format } from "./format.js" */
import { element, token } from "./format.js";
import { average, drawEvents, drawFindings, drawGaps, gapsOf } from "./ground.js";
import { drawSigns } from "./signs.js";

export class Panes {
  // `chosen(from, to)` is told of a time that was dragged over, `pointed(index)` of the point under the cursor.
  /**
   * @param {HTMLElement} place
   * @param {ChartContent} content
   * @param {Format} format
   * @param {{ chosen: (from: number, to: number) => void, pointed: (index: number) => void }} told
   */
  constructor(place, content, format, { chosen, pointed }) {
    this.place = place;
    this.content = content;
    this.format = format;
    this.chosen = chosen;
    this.pointed = pointed;
    /** @type {uPlot[]} */
    this.plots = [];
    const { points, register, bucket, words } = content;
    const narrow = place.clientWidth < 560;
    this.margin = 22 + 7 * Math.max(3, ...[points.value, points.consumption].map((figures, place) => this.longest(figures, place === 1)));
    this.upper = this.pane(words.register, points.at, [points.value], narrow ? 180 : 240, [this.line()], false);
    this.axis = element("div", "axis");
    place.append(this.axis);
    if (register.counter) {
      const measured = points.consumption.map((figure, index) => (points.gap[index] && bucket !== "reading" ? null : figure));
      const doubtful = (/** @type {number} */ index) => points.counted[index] !== null && points.counted[index] !== "noted";
      const figures = [false, true].map((doubt) => measured.map((figure, index) => (doubtful(index) === doubt ? figure : null)));
      this.pane(words[`by_${bucket}`], points.bucket, figures, narrow ? 140 : 170, [this.bars(false), this.bars(true)], true);
    }
  }

  // Letters of the longest label of a pane; the margin is the same for both, so that their times line up.
  /** @param {(string | null)[]} figures @param {boolean} fromZero */
  longest(figures, fromZero) {
    const known = figures.filter((figure) => figure !== null).map(Number);
    if (known.length === 0) return 0;
    const [low, high] = this.range(Math.min(...known), Math.max(...known), fromZero);
    return Math.max(...this.format.values([low, low + (high - low) / 6, high]).map((label) => label.length));
  }

  destroy() {
    this.plots.forEach((plot) => plot.destroy());
  }

  resize() {
    this.plots.forEach((plot) => plot.setSize({ width: this.place.clientWidth, height: plot.height }));
  }

  // The point that the keys have come to, under the cursor of both panes.
  /** @param {number} index */
  point(index) {
    const [plot] = this.plots;
    plot.setCursor({ left: plot.valToPos(this.content.points.at[index], "x"), top: 10 });
  }

  // Pixels from the left edge of the chart.
  /** @param {number} seconds */
  left(seconds) {
    const [plot] = this.plots;
    return plot.bbox.left / devicePixelRatio + plot.valToPos(seconds, "x");
  }

  line() {
    const { points, register } = this.content;
    const broken = points.at.flatMap((at, index) => {
      const dropped = register.counter && points.since[index] !== null && points.consumption[index] === null;
      return dropped || points.gap[index] ? [[points.since[index] ?? at, at]] : [];
    });
    const hidden = (/** @type {uPlot} */ plot) => broken.map(([from, to]) => [plot.valToPos(from, "x", true), plot.valToPos(to, "x", true) + devicePixelRatio]);
    return { stroke: token("--hue"), width: 1.75, gaps: hidden, points: { show: points.at.length < 60, size: 5, fill: token("--hue") } };
  }

  // What rests on an estimated, questionable or entered reading is outlined only.
  /** @param {boolean} doubtful */
  bars(doubtful) {
    const ends = this.content.bucket === "reading"; // a reading closes its interval, a bucket's start opens it
    const look = doubtful ? { fill: token("--card"), width: 1.5, dash: [4, 2] } : { fill: token("--hue"), width: 0 };
    return {
      ...look, stroke: token("--hue"), points: { show: false },
      paths: uPlot.paths.bars({ size: [0.78, 40, 1], align: ends ? -1 : 1, radius: 0.15 }),
    };
  }

  /**
   * @param {string} title
   * @param {number[]} instants
   * @param {(string | null)[][]} figures
   * @param {number} height
   * @param {PlotSeries[]} styles
   * @param {boolean} fromZero
   */
  pane(title, instants, figures, height, styles, fromZero) {
    const { content, format } = this;
    const pane = element("div", "pane");
    const unit = content.register.unit ? `, ${content.register.unit}` : "";
    pane.append(element("h3", "", title + unit));
    this.place.append(pane);
    const numbers = figures.map((series) => series.map((figure) => (figure === null ? null : Number(figure))));
    const grid = { stroke: token("--line"), width: 1 };
    const axis = { stroke: token("--muted"), font: `12px ${getComputedStyle(document.body).fontFamily}`, grid, ticks: { show: false } };
    const plot = new uPlot(
      {
        width: this.place.clientWidth,
        height,
        padding: [fromZero ? 10 : 18, 26, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), content.zone),
        legend: { show: false },
        cursor: {
          sync: { key: "meter", setSeries: false }, y: false, points: { show: !fromZero },
          drag: { x: true, y: false, setScale: false, dist: 8 },
        },
        scales: {
          x: { time: true, range: () => [content.from, content.to] },
          y: { range: (_plot, low, high) => this.range(low, high, fromZero) },
        },
        axes: [
          { ...axis, space: 64, size: 30, values: format.times() },
          { ...axis, size: this.margin, space: 34, values: (_plot, splits) => format.values(splits) },
        ],
        series: [{}, ...styles],
        hooks: {
          drawAxes: [
            (drawn) => drawGaps(drawn, content, fromZero),
            (drawn) => drawFindings(drawn, content, !fromZero),
            (drawn) => drawEvents(drawn, content),
          ],
          draw: fromZero ? [] : [(drawn) => drawSigns(drawn, content)],
          setCursor: [(drawn) => this.follow(drawn)],
          setSelect: [(drawn) => this.select(drawn)],
        },
      },
      [instants, ...numbers],
      pane,
    );
    this.plots.push(plot);
    return pane;
  }

  /** @param {number | null} low @param {number | null} high @param {boolean} fromZero */
  range(low, high, fromZero) {
    low ??= 0;
    high ??= 0;
    if (fromZero) {
      const averages = gapsOf(this.content).map((gap) => average(this.content, gap) ?? 0);
      const top = Math.max(high, ...averages);
      return [Math.min(0, low), top > 0 ? top * 1.08 : 1];
    }
    const room = Math.max((high - low) * 0.08, Math.abs(high) * 1e-6, 0.001);
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }

  /** @param {uPlot} plot */
  follow(plot) {
    const { idx, left } = plot.cursor;
    if (idx !== null && idx !== undefined && left >= 0) this.pointed(idx);
  }

  /** @param {uPlot} plot */
  select(plot) {
    const { left, width } = plot.select;
    if (width < 8) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.chosen(from, to);
  }
}
