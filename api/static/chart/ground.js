// What lies under the figures: gaps in the readings hatched, findings as soft bands.

import { font, token } from "./format.js";

const LENGTHS = { year: 365.25 * 86400, month: 30.44 * 86400, day: 86400, hour: 3600, reading: 0 };

/** @typedef {{ index: number, from: number, to: number }} Gap */

/** @param {ChartContent} content @returns {Gap[]} */
export function gapsOf({ points }) {
  return points.at.flatMap((at, index) => (points.gap[index] ? [{ index, from: points.since[index] ?? at, to: at }] : []));
}

// What was counted over a gap, in each bucket of it; null where that is not known.
/** @param {ChartContent} content @param {Gap} gap */
export function average(content, gap) {
  const counted = content.points.consumption[gap.index];
  const length = LENGTHS[content.bucket];
  if (counted === null || length === 0) return null;
  return Number(counted) / Math.max(1, Math.round((gap.to - gap.from) / length));
}

// Hatched from top to bottom, with a dashed way across the register or the average of what was counted.
/** @param {uPlot} plot @param {ChartContent} content @param {boolean} bars */
export function drawGaps(plot, content, bars) {
  const { ctx, bbox } = plot;
  const { points, words } = content;
  const pixel = devicePixelRatio;
  for (const gap of gapsOf(content)) {
    const left = Math.max(bbox.left, plot.valToPos(gap.from, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(gap.to, "x", true));
    if (right - left < 2 * pixel) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.fillStyle = token("--sunk");
    ctx.fill();
    hatch(ctx, left, right, bbox);
    const counted = bars ? average(content, gap) : null;
    ctx.strokeStyle = token("--hue");
    ctx.lineWidth = 1.5 * pixel;
    ctx.setLineDash([4 * pixel, 4 * pixel]);
    ctx.beginPath();
    if (!bars) {
      const before = points.value[gap.index - 1] ?? points.value[gap.index];
      ctx.moveTo(plot.valToPos(gap.from, "x", true), plot.valToPos(Number(before), "y", true));
      ctx.lineTo(plot.valToPos(gap.to, "x", true), plot.valToPos(Number(points.value[gap.index]), "y", true));
    } else if (counted !== null) {
      const top = plot.valToPos(counted, "y", true);
      ctx.globalAlpha = 0.25;
      ctx.fillStyle = token("--hue");
      ctx.fillRect(left, top, right - left, bbox.top + bbox.height - top);
      ctx.globalAlpha = 1;
      ctx.moveTo(left, top);
      ctx.lineTo(right, top);
    }
    ctx.stroke();
    caption(ctx, bars && counted !== null ? words.average : words.no_readings, left, right, bbox.top + 14 * pixel);
    ctx.restore();
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {number} left @param {number} right @param {uPlot["bbox"]} bbox */
function hatch(ctx, left, right, bbox) {
  ctx.strokeStyle = token("--line");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += 7 * devicePixelRatio) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} left
 * @param {number} right
 * @param {number} y
 */
function caption(ctx, text, left, right, y) {
  ctx.font = font();
  if (ctx.measureText(text).width + 12 * devicePixelRatio > right - left) return;
  ctx.textAlign = "center";
  ctx.fillStyle = token("--muted");
  ctx.fillText(text, (left + right) / 2, y);
}

// A band for the time of a finding under a flag where it begins, and in the upper pane its title.
/** @param {uPlot} plot @param {ChartContent} content @param {boolean} named */
export function drawFindings(plot, content, named) {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  const size = 5 * pixel;
  let free = bbox.left; // from where there is room for the next title
  ctx.save();
  for (const finding of content.findings) {
    const left = Math.max(bbox.left, plot.valToPos(finding.from, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(finding.to ?? content.to, "x", true));
    const width = Math.max(3 * pixel, right - left);
    const at = Math.max(bbox.left + size, width > 4 * size ? left : left + width / 2);
    ctx.fillStyle = token(`--${finding.severity}`) || token("--warning");
    ctx.globalAlpha = 0.08;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top, width, 1.5 * pixel);
    ctx.beginPath(); // a flag that no width can hide
    ctx.moveTo(at - size, bbox.top - 1.6 * size);
    ctx.lineTo(at + size, bbox.top - 1.6 * size);
    ctx.lineTo(at, bbox.top);
    ctx.fill();
    if (named) free = name(ctx, finding.title, at, free, bbox);
  }
  ctx.restore();
}

// A finding's title beside its flag, on the side that has room; answers where the next one may begin.
/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} title
 * @param {number} at
 * @param {number} free
 * @param {uPlot["bbox"]} bbox
 */
function name(ctx, title, at, free, bbox) {
  const apart = 9 * devicePixelRatio;
  ctx.font = font(600);
  const width = ctx.measureText(title).width;
  const after = at + apart + width <= bbox.left + bbox.width;
  const left = after ? at + apart : at - apart - width;
  if (left < free) return Math.max(free, at + apart);
  ctx.textAlign = "left";
  ctx.fillText(title, left, bbox.top - 3 * devicePixelRatio);
  return Math.max(left + width, at) + apart;
}

// Boundaries, exchanges and ends of verification: a thin upright line through both panes.
/** @param {uPlot} plot @param {ChartContent} content */
export function drawEvents(plot, content) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = token("--muted");
  ctx.lineWidth = devicePixelRatio;
  for (const event of content.events) {
    const x = Math.round(plot.valToPos(event.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash(event.kind === "boundary" ? [2 * devicePixelRatio, 3 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
