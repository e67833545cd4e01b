// Two recordings on one axis: seconds of the drive, seconds from an event, or metres of the road.
//
// An Axis gives x(t) of an instant and t(x) back; both are monotonic.

import { lowerBound } from "../stage/columns.js";

const KMH = 3.6;
/** Signals that tell the speed in km/h, the best one first; units of others are refused. */
const SPEEDS = ["SPEED", "VehicleSpeed", "GPS_SPEED"];
/** Between readings further apart nothing is known, and nothing is driven. */
const LONGEST_GAP_S = 10;

export class Seconds {
  unit = "s";
  constructor(zero_s) { this.zero_s = zero_s; }
  x(t) { return t - this.zero_s; }
  t(x) { return x + this.zero_s; }
}

export class Metres {
  unit = "m";

  /** @param {{t: Float64Array, v: ArrayLike<number>}} speed km/h */
  constructor(speed) {
    const { t, v } = speed, ts = [], xs = [];
    let way = 0, last = -1;
    for (let i = 0; i < t.length; i++) {
      if (!Number.isFinite(v[i])) continue;
      if (last >= 0 && t[i] - t[last] <= LONGEST_GAP_S) way += (v[i] + v[last]) / 2 / KMH * (t[i] - t[last]);
      ts.push(t[i]); xs.push(way);
      last = i;
    }
    this.ts = Float64Array.from(ts);
    this.xs = Float64Array.from(xs);
    this.length = way;
  }

  x(t) { return between(this.ts, this.xs, t); }
  t(x) { return between(this.xs, this.ts, x); }
}

/** Linear between two ascending arrays; the ends hold. */
function between(from, to, at) {
  if (!from.length) return NaN;
  const i = lowerBound(from, at);
  if (i === 0) return to[0];
  if (i === from.length) return to[i - 1];
  const share = from[i] > from[i - 1] ? (at - from[i - 1]) / (from[i] - from[i - 1]) : 1;
  return to[i - 1] + share * (to[i] - to[i - 1]);
}

/** Where the drive begins: a run's first phase, else the beginning. */
export function driveStart(info) {
  const starts = info.phases.map((phase) => phase.start_s);
  return starts.length ? Math.min(...starts) : info.start_s ?? info.epoch_s ?? 0;
}

/** The signal that tells the speed, or null. */
export function speedOf(info) {
  const names = new Set(info.signals.map((signal) => signal.name));
  return SPEEDS.find((name) => names.has(name)) ?? null;
}

/** Instants that have a name: starts of phases, faults, and what happened; the first of each name. */
export function landmarks(info, events) {
  const found = new Map();
  const add = (name, t) => { if (name && Number.isFinite(t) && !found.has(name)) found.set(name, t); };
  for (const phase of info.phases) add(`phase ${phase.name}`, phase.start_s);
  for (const fault of info.faults) add(`fault ${fault.name}`, fault.start_s);
  for (const event of [...events].sort((a, b) => a.t - b.t)) {
    if (event.kind !== "phase" && event.kind !== "fault") add(`${event.kind}: ${event.text ?? ""}`.trim(), event.t);
  }
  return found;
}
