// The meter page's chart: the register above, its consumption below, findings as bands over both, and gaps
// in the readings hatched: what was counted over a gap is shown as its average, not as one high bar.
// All figures arrive as decimal strings; floats only place the pixels, what is written is the string.

const place = document.getElementById("chart");
const status = place?.querySelector("[data-status]");

const THIN_SPACE = "\u202f";

function grouped(decimal) {
  const [whole, fraction] = decimal.replace("-", "\u2212").split(".");
  const apart = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE);
  return fraction === undefined ? apart : `${apart}.${fraction}`;
}

function token(name, element = place) {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

function clock(zone, options) {
  return new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
}

class Chart {
  constructor(content) {
    this.content = content;
    this.unit = content.register.unit ? THIN_SPACE + content.register.unit : "";
    const daily = content.bucket === "day";
    this.day = clock(content.zone, { day: "numeric", month: "short", year: "numeric" });
    this.moment = clock(content.zone, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
    this.title = (seconds) => (daily ? this.day : this.moment).format(seconds * 1000);
    this.plots = [];
    const { points } = content;
    this.gaps = points.at.flatMap((at, index) => (points.gap[index] ? [{ index, from: points.since[index], to: at }] : []));
    this.step = { day: 86400, hour: 3600, reading: 0 }[content.bucket];
  }

  // What was counted over a gap, in each bucket of it; null where that is not known.
  average(gap) {
    const counted = this.content.points.consumption[gap.index];
    if (counted === null || this.step === 0) return null;
    return Number(counted) / Math.max(1, Math.round((gap.to - gap.from) / this.step));
  }

  draw() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
    this.upper = null;
    place.replaceChildren();
    this.readout = this.element("div", "readout");
    this.readout.setAttribute("aria-live", "off");
    place.append(this.readout);
    this.rest();
    const { points, register } = this.content;
    const narrow = place.clientWidth < 560;
    const longest = Math.max(...points.value.map((value) => grouped(value.split(".")[0]).length));
    this.margin = 28 + 7 * Math.max(3, longest); // the same for both panes, so that their times line up
    this.pane("Register", points.at, points.value, narrow ? 180 : 240, this.line(), false);
    if (register.counter) {
      this.pane(
        { day: "Consumption a day", hour: "Consumption an hour", reading: "Consumption between readings" }[this.content.bucket],
        points.bucket, points.consumption.map((figure, index) => (points.gap[index] && this.step ? null : figure)),
        narrow ? 140 : 170, this.bars(), true,
      );
    }
  }

  element(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  line() {
    const few = this.content.points.at.length < 60;
    const { points, register } = this.content;
    const broken = points.at.flatMap((at, index) => {
      const dropped = register.counter && points.since[index] !== null && points.consumption[index] === null;
      return dropped || points.gap[index] ? [[points.since[index], at]] : [];
    });
    const hidden = (plot) =>
      broken.map(([from, to]) => [plot.valToPos(from, "x", true), plot.valToPos(to, "x", true) + devicePixelRatio]);
    return { stroke: token("--hue"), width: 1.75, gaps: hidden, points: { show: few, size: 5, fill: token("--hue") } };
  }

  bars() {
    const ends = this.content.bucket === "reading"; // a reading closes its interval, a bucket's start opens it
    return {
      stroke: token("--hue"), fill: token("--hue"), width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [0.78, 40, 1], align: ends ? -1 : 1, radius: 0.15 }),
    };
  }

  pane(title, instants, figures, height, style, fromZero) {
    const pane = this.element("div", "pane");
    const heading = this.element("h3", "", title + (this.content.register.unit ? `, ${this.content.register.unit}` : ""));
    pane.append(heading);
    place.append(pane);
    this.upper ??= pane;
    const values = figures.map((figure) => (figure === null ? null : Number(figure)));
    const muted = token("--muted");
    const grid = { stroke: token("--line"), width: 1 };
    const axis = { stroke: muted, font: `12px ${getComputedStyle(document.body).fontFamily}`, grid, ticks: { show: false } };
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height,
        padding: [fromZero ? 10 : 18, 26, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.content.zone),
        legend: { show: false },
        cursor: { sync: { key: "meter", setSeries: false }, y: false, drag: { x: false, y: false }, points: { show: !fromZero } },
        scales: {
          x: { time: true, range: () => [this.content.from, this.content.to] },
          y: { range: (_plot, low, high) => this.range(low, high, fromZero) },
        },
        axes: [
          { ...axis, space: 64, size: 30, values: this.dates() },
          { ...axis, size: this.margin, space: 34, values: (_plot, splits) => this.labels(splits) },
        ],
        series: [{}, style],
        hooks: { drawAxes: [(drawn) => this.holes(drawn, fromZero), (drawn) => this.bands(drawn)], setCursor: [(drawn) => this.follow(drawn)] },
      },
      [instants, values],
      pane,
    );
    this.plots.push(plot);
  }

  range(low, high, fromZero) {
    if (low === null || low === undefined) [low, high] = [0, 0];
    if (fromZero) {
      const top = Math.max(high, ...this.gaps.map((gap) => this.average(gap) ?? 0));
      return [Math.min(0, low), top > 0 ? top * 1.08 : 1];
    }
    const room = Math.max((high - low) * 0.08, Math.abs(high) * 1e-6, 0.001);
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }

  dates() {
    const hours = clock(this.content.zone, { hour: "2-digit", minute: "2-digit" });
    const days = clock(this.content.zone, { day: "numeric", month: "short" });
    const months = clock(this.content.zone, { month: "short" });
    const january = clock(this.content.zone, { month: "short", year: "numeric" });
    return (_plot, splits, _axis, _space, step) =>
      splits.map((seconds) => {
        if (step >= 28 * 86400) {
          const name = months.format(seconds * 1000);
          return name === "Jan" ? january.format(seconds * 1000) : name;
        }
        if (step >= 86400) return days.format(seconds * 1000);
        const label = hours.format(seconds * 1000);
        return label === "00:00" ? days.format(seconds * 1000) : label;
      });
  }

  labels(splits) {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
    const places = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
    return splits.map((value) => grouped(value.toFixed(places)));
  }

  // Gaps: hatched from top to bottom, with a dashed way across the register or the average of what was counted.
  holes(plot, bars) {
    const { ctx, bbox } = plot;
    const { points } = this.content;
    const pixel = devicePixelRatio;
    for (const gap of this.gaps) {
      const left = Math.max(bbox.left, plot.valToPos(gap.from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(gap.to, "x", true));
      if (right - left < 2 * pixel) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.fillStyle = token("--sunk");
      ctx.fill();
      ctx.strokeStyle = token("--line");
      ctx.lineWidth = pixel;
      ctx.beginPath();
      for (let x = left - bbox.height; x < right; x += 7 * pixel) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.strokeStyle = token("--hue");
      ctx.lineWidth = 1.5 * pixel;
      ctx.setLineDash([4 * pixel, 4 * pixel]);
      const average = bars ? this.average(gap) : null;
      ctx.beginPath();
      if (!bars) {
        ctx.moveTo(plot.valToPos(gap.from, "x", true), plot.valToPos(Number(points.value[gap.index - 1] ?? points.value[gap.index]), "y", true));
        ctx.lineTo(plot.valToPos(gap.to, "x", true), plot.valToPos(Number(points.value[gap.index]), "y", true));
      } else if (average !== null) {
        const top = plot.valToPos(average, "y", true);
        ctx.globalAlpha = 0.25;
        ctx.fillStyle = token("--hue");
        ctx.fillRect(left, top, right - left, bbox.top + bbox.height - top);
        ctx.globalAlpha = 1;
        ctx.moveTo(left, top);
        ctx.lineTo(right, top);
      }
      ctx.stroke();
      this.caption(ctx, bars && average !== null ? "average" : "no readings", left, right, bbox.top + 14 * pixel);
      ctx.restore();
    }
  }

  caption(ctx, text, left, right, y) {
    ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    if (ctx.measureText(text).width + 12 * devicePixelRatio > right - left) return;
    ctx.textAlign = "center";
    ctx.fillStyle = token("--muted");
    ctx.fillText(text, (left + right) / 2, y);
  }

  // Findings: a soft band for their time under a flag where it begins, and in the upper pane its title.
  bands(plot) {
    const { ctx, bbox } = plot;
    const pixel = devicePixelRatio;
    const size = 5 * pixel;
    let free = bbox.left; // from where there is room for the next title
    ctx.save();
    for (const finding of this.content.findings) {
      const left = Math.max(bbox.left, plot.valToPos(finding.from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(finding.to ?? this.content.to, "x", true));
      const width = Math.max(3 * pixel, right - left);
      const at = Math.max(bbox.left + size, width > 4 * size ? left : left + width / 2);
      ctx.fillStyle = token(`--${finding.severity}`) || token("--warning");
      ctx.globalAlpha = 0.12;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, bbox.top, width, 1.5 * pixel);
      ctx.beginPath(); // a flag that no width can hide
      ctx.moveTo(at - size, bbox.top - 1.6 * size);
      ctx.lineTo(at + size, bbox.top - 1.6 * size);
      ctx.lineTo(at, bbox.top);
      ctx.fill();
      if (plot.root.parentElement === this.upper) free = this.name(ctx, finding.title, at, free, bbox);
    }
    ctx.restore();
  }

  // A finding's title beside its flag, on the side that has room; answers where the next one may begin.
  name(ctx, title, at, free, bbox) {
    const apart = 9 * devicePixelRatio;
    ctx.font = `600 ${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    const width = ctx.measureText(title).width;
    const after = at + apart + width <= bbox.left + bbox.width;
    const left = after ? at + apart : at - apart - width;
    if (left < free) return Math.max(free, at + apart);
    ctx.textAlign = "left";
    ctx.fillText(title, left, bbox.top - 3 * devicePixelRatio);
    return Math.max(left + width, at) + apart;
  }

  follow(plot) {
    const index = plot.cursor.idx;
    if (index === null || index === undefined || plot.cursor.left < 0) return;
    this.show(index);
  }

  rest() {
    const last = this.content.points.at.length - 1;
    if (last >= 0) this.show(last);
  }

  show(index) {
    const { points, findings } = this.content;
    const at = points.at[index];
    const parts = [
      this.element("span", "", this.moment.format(at * 1000)),
      this.figure("register", points.value[index]),
    ];
    if (points.consumption[index] !== null && this.content.register.counter) {
      parts.push(this.figure(`since ${this.moment.format(points.since[index] * 1000)}`, points.consumption[index], "+"));
      if (points.gap[index]) parts.push(this.element("span", "mark", "no readings in between"));
    }
    const open = points.since[index] ?? at;
    for (const finding of findings) {
      if (finding.from <= at && (finding.to ?? Infinity) >= open) parts.push(this.element("span", "mark", finding.title));
    }
    this.readout.replaceChildren(...parts);
  }

  figure(label, decimal, sign = "") {
    const part = this.element("span", "", `${label} `);
    part.append(this.element("b", "", sign + grouped(decimal) + this.unit));
    return part;
  }

  resize() {
    this.plots.forEach((plot) => plot.setSize({ width: place.clientWidth, height: plot.height }));
  }

  table() {
    const { points, register } = this.content;
    const table = this.element("table");
    const head = table.createTHead().insertRow();
    for (const name of ["Read", "Register", ...(register.counter ? ["Consumption"] : [])]) {
      const cell = this.element("th", name === "Read" ? "" : "right", name);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (let index = points.at.length - 1; index >= 0; index -= 1) {
      const row = body.insertRow();
      row.append(this.element("td", "", this.moment.format(points.at[index] * 1000)));
      row.append(this.element("td", "right", grouped(points.value[index]) + this.unit));
      if (register.counter) {
        const counted = points.consumption[index];
        row.append(this.element("td", "right", counted === null ? "not known" : grouped(counted) + this.unit));
      }
    }
    return table;
  }
}

async function begin() {
  const answer = await fetch(place.dataset.source, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`the figures did not come (${answer.status})`);
  const content = await answer.json();
  if (content.points.at.length === 0) {
    status.textContent = "No readings in this time. Look earlier, or at a longer time.";
    return;
  }
  const chart = new Chart(content);
  chart.draw();
  place.dataset.drawn = "true";
  new ResizeObserver(() => chart.resize()).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
  document.querySelector("details.figures")?.addEventListener(
    "toggle",
    (event) => event.target.querySelector("[data-figures]").replaceChildren(chart.table()),
    { once: true },
  );
}

if (place) {
  begin().catch((error) => {
    status.textContent = `The chart cannot be drawn: ${error.message}. Load the page again.`;
    place.dataset.failed = "true";
  });
}
