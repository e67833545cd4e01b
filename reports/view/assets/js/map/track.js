// A line over the ground that may grow; bounded, in metres of a plane.

import { lowerBound } from "../stage/columns.js";
import { isFix } from "./ground.js";

const MOST = 20000;

export class Track {
  constructor(most = MOST) {
    this.most = most;
    this.clear();
  }

  clear() {
    this.count = 0;
    this.version = (this.version ?? 0) + 1;
    for (const key of ["t", "lat", "lon", "x", "y", "error_m"]) this[key] = new Float64Array(256);
  }

  /** Take a whole line; what is no fix breaks it (NaN). */
  set({ t, lat, lon, error_m }, plane) {
    this.clear();
    for (let i = 0; i < t.length; i++) this.push(t[i], lat[i], lon[i], error_m?.[i] ?? NaN, plane);
  }

  push(t, lat, lon, error_m, plane) {
    if (!Number.isFinite(t)) return;
    // A clock that has gone back: what was later is gone.
    if (this.count && t <= this.t[this.count - 1]) this.count = lowerBound(this.t, t, 0, this.count);
    if (this.count === this.t.length) this._grow();
    const i = this.count++, isThere = isFix(lat, lon);
    this.t[i] = t;
    this.lat[i] = isThere ? lat : NaN;
    this.lon[i] = isThere ? lon : NaN;
    this.x[i] = isThere ? plane.x(lon) : NaN;
    this.y[i] = isThere ? plane.y(lat) : NaN;
    this.error_m[i] = error_m;
    this.version++;
  }

  _grow() {
    if (this.count >= this.most) {
      // Every second one of the older half goes: the way stays, with fewer corners.
      const half = this.count >> 1;
      let to = 0;
      for (let from = 0; from < this.count; from++) {
        if (from < half && from % 2) continue;
        for (const key of KEYS) this[key][to] = this[key][from];
        to++;
      }
      this.count = to;
      return;
    }
    for (const key of KEYS) {
      const wider = new Float64Array(Math.min(this.most, this[key].length * 2));
      wider.set(this[key]);
      this[key] = wider;
    }
  }

  project(plane) {
    for (let i = 0; i < this.count; i++) {
      this.x[i] = plane.x(this.lon[i]);
      this.y[i] = plane.y(this.lat[i]);
    }
    this.version++;
  }

  get first() {
    for (let i = 0; i < this.count; i++) if (this.lat[i] === this.lat[i]) return i;
    return -1;
  }

  /** Longest step that is still drawn: a few of the usual ones. */
  get longest_s() {
    if (this.count < 3) return Infinity;
    const steps = [], stride = Math.max(1, Math.floor(this.count / 100));
    for (let i = 1; i < this.count; i += stride) steps.push(this.t[i] - this.t[i - 1]);
    steps.sort((a, b) => a - b);
    return Math.max(10, steps[steps.length >> 1] * 5);
  }

  /** Where it was at an instant: between two fixes in between, after the last one there; null before the first. */
  at(t) {
    if (!this.count || !(t === t) || t < this.t[0]) return null;
    let i = lowerBound(this.t, t, 0, this.count);
    if (i < this.count && this.t[i] === t) return this._place(i, i, 0);
    const a = i - 1;
    if (i >= this.count) return this._place(a, a, 0, t - this.t[a]);
    if (this.t[i] - this.t[a] > this.longest_s) return this._place(a, a, 0, t - this.t[a]);
    return this._place(a, i, (t - this.t[a]) / (this.t[i] - this.t[a]));
  }

  _place(a, b, part, old_s = 0) {
    const mix = (key) => this[key][a] + (this[key][b] - this[key][a]) * part;
    const found = { i: a, x: mix("x"), y: mix("y"), lat: mix("lat"), lon: mix("lon"), error_m: this.error_m[a], old_s };
    return found.x === found.x && found.y === found.y ? found : null;
  }
}

const KEYS = ["t", "lat", "lon", "x", "y", "error_m"];
