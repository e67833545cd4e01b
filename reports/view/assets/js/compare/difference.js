// What differs: two columns on one axis, their difference, and where it begins.

import { lowerBound } from "../stage/columns.js";

const MOST = 1600;
/** Readings further apart than so many usual steps have a gap between them. */
const GAP_STEPS = 8;
/** What floats leave of equal numbers. */
const NOISE = 1e-9;

/** Readings of a column as {x, v} on an axis, without those that are no numbers. */
export function placed(column, axis) {
  const x = [], v = [];
  for (let i = 0; i < column.t.length; i++) {
    if (!Number.isFinite(column.v[i])) continue;
    const at = axis.x(column.t[i]);
    // Metres stand still while the car does: the newest reading of a place counts.
    if (x.length && at <= x[x.length - 1]) { if (at === x[x.length - 1]) v[v.length - 1] = column.v[i]; continue; }
    x.push(at); v.push(column.v[i]);
  }
  return { x: Float64Array.from(x), v: Float64Array.from(v) };
}

function gapOf({ x }) {
  if (x.length < 3) return Infinity;
  const steps = [];
  const stride = Math.max(1, Math.floor(x.length / 200));
  for (let i = 1; i < x.length; i += stride) steps.push(x[i] - x[i - 1]);
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1] * GAP_STEPS;
}

/** Value of a placed column at x, linear between readings; NaN in gaps and beyond the ends. */
export function valueAt({ x, v }, at, gap) {
  const i = lowerBound(x, at);
  if (i < x.length && x[i] === at) return v[i];
  if (i === 0 || i === x.length || x[i] - x[i - 1] > gap) return NaN;
  return v[i - 1] + (at - x[i - 1]) / (x[i] - x[i - 1]) * (v[i] - v[i - 1]);
}

/** a − b where both are known: at readings of `a` and of `b`, at most `MOST` of them. `wraps`: 360 for a heading. */
export function difference(a, b, wraps = null) {
  const from = Math.max(a.x[0] ?? Infinity, b.x[0] ?? Infinity), to = Math.min(a.x.at(-1) ?? -Infinity, b.x.at(-1) ?? -Infinity);
  const gapA = gapOf(a), gapB = gapOf(b);
  const all = Float64Array.from(new Set([...a.x, ...b.x].filter((x) => x >= from && x <= to))).sort();
  const stride = Math.max(1, Math.ceil(all.length / MOST));
  const x = [], v = [];
  for (let i = 0; i < all.length; i += stride) {
    let d = valueAt(a, all[i], gapA) - valueAt(b, all[i], gapB);
    if (wraps && Number.isFinite(d)) d -= Math.round(d / wraps) * wraps;
    x.push(all[i]); v.push(d);
  }
  return { x: Float64Array.from(x), v: Float64Array.from(v) };
}

/** {most, at, rms, count}: the greatest difference and where it is. */
export function figures({ x, v }) {
  let most = 0, at = NaN, sum = 0, count = 0;
  for (let i = 0; i < v.length; i++) {
    if (!Number.isFinite(v[i])) continue;
    count++;
    sum += v[i] * v[i];
    if (Math.abs(v[i]) > Math.abs(most) || count === 1) { most = v[i]; at = x[i]; }
  }
  return { most, at, rms: count ? Math.sqrt(sum / count) : NaN, count };
}

/** Where a difference first goes beyond a step of the sensor; NaN where it never does. */
export function firstBeyond({ x, v }, step) {
  const tolerance = Math.max(NOISE, Math.abs(step || 0) * (1 + NOISE));
  for (let i = 0; i < v.length; i++) if (Math.abs(v[i]) > tolerance) return x[i];
  return NaN;
}
