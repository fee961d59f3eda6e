// The signs of readings and events: a shape and a colour each, the same on the canvas, on the axis and in the legend.

import { element, token } from "./format.js";

// Shapes in a box from -6 to 6; `filled` ones are painted, the others are outlines on the ground of the card.
/** @type {Record<SignKind, { path: string, colour: string, filled?: boolean }>} */
export const SIGNS = {
  excluded: { path: "M-4-4 4 4M4-4-4 4", colour: "--alarm" },
  questionable: { path: "M0-5 5 4H-5Z", colour: "--warning" },
  estimated: { path: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z", colour: "--info" },
  manual: { path: "M-4-4H4V4H-4Z", colour: "--accent", filled: true },
  noted: { path: "M0-4 4 0 0 4-4 0Z", colour: "--muted", filled: true },
  finding: { path: "M-5-4H5L0 5Z", colour: "--warning", filled: true },
  swap: { path: "M-5-2H5L2-5M5 2H-5L-2 5", colour: "--ink" },
  boundary: { path: "M-3-6V6M-3-6H5L2-3 5 0H-3", colour: "--ink" },
  verification: { path: "M0-5 5 0 0 5-5 0ZM0-2V1M0 2.500V3", colour: "--alarm" },
  gap: { path: "M-6 6 6-6M-6 0 0-6M0 6 6 0", colour: "--muted" },
};

// Of the readings that are marked, those whose value can be drawn: what was left out may lie far outside.
/** @param {uPlot} plot @param {ChartContent} content */
export function drawSigns(plot, content) {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  ctx.save();
  for (const one of content.marked) {
    const sign = SIGNS[one.kind];
    const x = plot.valToPos(one.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const inside = plot.valToPos(Number(one.value), "y", true);
    const y = Math.min(bbox.top + bbox.height, Math.max(bbox.top, inside));
    ctx.setTransform(pixel, 0, 0, pixel, x, y);
    const path = new Path2D(sign.path);
    ctx.lineWidth = 1.8;
    ctx.strokeStyle = token(sign.colour);
    ctx.fillStyle = token(sign.filled ? sign.colour : "--card");
    if (one.kind !== "excluded") ctx.fill(path);
    ctx.stroke(path);
  }
  ctx.restore();
}

/** @param {SignKind} kind */
export function icon(kind) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("viewBox", "-7 -7 14 14");
  picture.setAttribute("class", `sign sign-${kind}`);
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SIGNS[kind].path);
  if (SIGNS[kind].filled) path.setAttribute("class", "filled");
  picture.append(path);
  return picture;
}

// What the signs of this chart mean: only those that are on it.
/** @param {ChartContent} content */
export function legend(content) {
  const { points, words } = content;
  /** @type {Set<SignKind>} */
  const there = new Set([...content.marked, ...content.events].map((one) => one.kind));
  if (content.findings.length) there.add("finding");
  if (points.gap.some(Boolean)) there.add("gap");
  const list = element("ul", "legend");
  list.setAttribute("aria-label", words.legend);
  for (const kind of /** @type {SignKind[]} */ (Object.keys(SIGNS)).filter((name) => there.has(name))) {
    const item = element("li");
    item.dataset.sign = kind;
    item.append(icon(kind), words[kind]);
    list.append(item);
  }
  return list;
}
