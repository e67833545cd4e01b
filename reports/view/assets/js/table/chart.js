// One signal over a long time as SVG: band from least to greatest, mean as a line, gaps as gaps.

import { number, wall } from "./values.js";

const WIDE = 600, NARROW = 330, HEIGHT = 110, LEFT = 46, RIGHT = 6, TOP = 6, BOTTOM = 18;
const SVG = "http://www.w3.org/2000/svg";

/** Runs of windows without a gap between them. */
export function runsOf(windows, window_s) {
  const runs = [];
  let before = null;
  for (const one of windows) {
    const t = one.start_ns / 1e9;
    if (before === null || t - before > window_s * 1.5) runs.push([]);
    runs.at(-1).push({ t, ...one });
    before = t;
  }
  return runs;
}

/** Round limits of an axis with about so many steps: [low, high, step]. */
export function axisOf(low, high, steps = 3) {
  const size = high - low || Math.abs(high) / 10 || 1;
  const rough = size / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const from = Math.floor(low / step) * step;
  const to = Math.max(from + step, Math.ceil(high / step) * step);
  return [from, to, step];
}

function make(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

export function chart({ windows, start_s, end_s, window_s, unit, name }) {
  const WIDTH = matchMedia("(max-width: 700px)").matches ? NARROW : WIDE; // so that its text stays readable
  const [low, high, step] = axisOf(Math.min(...windows.map((one) => one.min)), Math.max(...windows.map((one) => one.max)));
  const x = (t) => LEFT + ((t - start_s) / (end_s - start_s)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name} from ${wall(start_s * 1e3)} to ${wall(end_s * 1e3)}` });
  for (let value = low; value <= high + step / 2; value += step) {
    svg.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
    svg.append(make("text", { x: LEFT - 5, y: y(value) + 4, class: "tick", "text-anchor": "end" }, number(Number(value.toPrecision(6)))));
  }
  for (const share of [0, 0.5, 1]) {
    const t = start_s + share * (end_s - start_s);
    const text = end_s - start_s > 86_400 ? wall(t * 1e3).slice(5, 16) : wall(t * 1e3).slice(11, 16);
    svg.append(make("text", { x: x(t), y: HEIGHT - 4, class: "tick", "text-anchor": ["start", "middle", "end"][share * 2] }, text));
  }
  for (const run of runsOf(windows, window_s)) {
    const middle = (one) => x(one.t + window_s / 2);
    if (run.length === 1) {
      const [one] = run;
      svg.append(make("line", { x1: middle(one), x2: middle(one), y1: y(one.min) + 0.5, y2: y(one.max) - 0.5, class: "band-line" }));
      svg.append(make("circle", { cx: middle(one), cy: y(one.avg), r: 2.2, class: "mean-dot" }));
      continue;
    }
    const edge = [...run.map((one) => [middle(one), y(one.max)]), ...[...run].reverse().map((one) => [middle(one), y(one.min)])];
    svg.append(make("polygon", { points: edge.map((point) => point.map((one) => one.toFixed(1)).join(",")).join(" "), class: "band" }));
    svg.append(make("polyline", { points: run.map((one) => `${middle(one).toFixed(1)},${y(one.avg).toFixed(1)}`).join(" "), class: "mean" }));
  }
  const cursor = make("line", { y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor", visibility: "hidden" });
  const said = make("text", { y: TOP + 10, class: "said", visibility: "hidden" });
  svg.append(cursor, said);
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const t = start_s + (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * (end_s - start_s);
    const near = windows.reduce((best, one) => (Math.abs(one.start_ns / 1e9 + window_s / 2 - t) < Math.abs(best.start_ns / 1e9 + window_s / 2 - t) ? one : best));
    const at = x(near.start_ns / 1e9 + window_s / 2);
    for (const one of [cursor, said]) one.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    said.setAttribute("x", at > WIDTH * 0.6 ? at - 6 : at + 6);
    said.setAttribute("text-anchor", at > WIDTH * 0.6 ? "end" : "start");
    said.textContent = `${wall(near.start_ns / 1e6).slice(5)}  ${number(near.avg)} (${number(near.min)} to ${number(near.max)}) ${unit}`;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", () => [cursor, said].forEach((one) => one.setAttribute("visibility", "hidden")));
  return svg;
}
