// Columns of readings: bounded buffers for what is live, and questions over any column.

const EMPTY_T = new Float64Array(0), EMPTY_V = new Float64Array(0);
export const EMPTY = Object.freeze({ t: EMPTY_T, v: EMPTY_V, s: null, raw: true });

/** Place of the first instant that is not before `x`. */
export function lowerBound(t, x, from = 0, to = t.length) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (t[middle] < x) from = middle + 1; else to = middle;
  }
  return from;
}

/** Place of the last reading at or before `x`; -1 without one. */
export function placeAt(column, x) {
  let place = lowerBound(column.t, x);
  while (place < column.t.length && column.t[place] === x) place++;
  return place - 1;
}

/** Smallest, greatest and mean number between two instants, and how many there are. */
export function between(column, start_s, end_s) {
  const { t, v, s } = column;
  const first = lowerBound(t, start_s), last = lowerBound(t, end_s);
  let min = Infinity, max = -Infinity, sum = 0, count = 0, before = NaN, after = NaN;
  for (let i = first; i < t.length && (i < last || t[i] === end_s); i++) {
    const y = v[i];
    if (y !== y || (s && s[i] === 3)) continue;
    if (y < min) min = y;
    if (y > max) max = y;
    sum += y; count++;
    if (before !== before) before = y;
    after = y;
  }
  return count
    ? { min, max, mean: sum / count, count, first: before, last: after }
    : { min: NaN, max: NaN, mean: NaN, count: 0, first: NaN, last: NaN };
}

/** Longest step between readings that still counts as no gap, from the usual step of a column. */
export function usualStep_s(t, from = 0, to = t.length) {
  const count = to - from;
  if (count < 3) return Infinity;
  const steps = [];
  const stride = Math.max(1, Math.floor(count / 64));
  for (let i = from + 1; i < to; i += stride) steps.push(t[i] - t[i - 1]);
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)];
}

/**
 * Live readings of one signal, at most `most` of them, the oldest leave first.
 *
 * The buffers are twice as long and are moved down when they are full: what is kept lies in one
 * piece, and a reading costs O(1). A reading that comes late is put where it belongs.
 */
export class Growing {
  constructor(most) {
    this.most = most;
    this.size = 0;
    this.start = 0;
    this.room = Math.min(most * 2, 512);
    this._t = new Float64Array(this.room);
    this._v = new Float64Array(this.room);
    this._s = new Uint8Array(this.room);
    this._column = null;
  }

  push(t, v, s = 0) {
    if (!(t === t) || !Number.isFinite(t)) return;
    if (this.start + this.size === this.room) this._makeRoom();
    let place = this.start + this.size;
    if (this.size && t < this._t[place - 1]) {
      place = lowerBound(this._t, t, this.start, place);
      if (this._t[place] === t) { this._put(place, t, v, s); return; }
      const end = this.start + this.size;
      this._t.copyWithin(place + 1, place, end);
      this._v.copyWithin(place + 1, place, end);
      this._s.copyWithin(place + 1, place, end);
    } else if (this.size && t === this._t[place - 1]) {
      this._put(place - 1, t, v, s);
      return;
    }
    this._put(place, t, v, s);
    this.size++;
    if (this.size > this.most) { this.start++; this.size--; }
  }

  _put(place, t, v, s) {
    this._t[place] = t;
    this._v[place] = v === null || v === undefined ? NaN : v;
    this._s[place] = s;
    this._column = null;
  }

  _makeRoom() {
    const end = this.start + this.size;
    if (this.room < this.most * 2 && this.start === 0) {
      this.room = Math.min(this.most * 2, this.room * 4);
      for (const key of ["_t", "_v", "_s"]) {
        const wider = new this[key].constructor(this.room);
        wider.set(this[key]);
        this[key] = wider;
      }
    } else {
      for (const key of ["_t", "_v", "_s"]) this[key].copyWithin(0, this.start, end);
      this.start = 0;
    }
    this._column = null;
  }

  /** Forget what lies after an instant: the clock has gone back. */
  cutAfter(t) {
    const place = lowerBound(this._t, t, this.start, this.start + this.size);
    this.size = place - this.start;
    this._column = null;
  }

  /** Put older readings before those that are here; those of the same time are left out. */
  prepend(column) {
    const { t, v, s } = column;
    const until = this.size ? lowerBound(t, this._t[this.start]) : t.length;
    const fits = Math.min(until, this.most - this.size);
    if (fits <= 0) return;
    const old = { t: this._t, v: this._v, s: this._s, start: this.start, end: this.start + this.size };
    this.room = this.most * 2;
    this._t = new Float64Array(this.room);
    this._v = new Float64Array(this.room);
    this._s = new Uint8Array(this.room);
    this._t.set(t.subarray(until - fits, until));
    this._v.set(v.subarray(until - fits, until));
    if (s) this._s.set(s.subarray(until - fits, until));
    this._t.set(old.t.subarray(old.start, old.end), fits);
    this._v.set(old.v.subarray(old.start, old.end), fits);
    this._s.set(old.s.subarray(old.start, old.end), fits);
    this.start = 0;
    this.size += fits;
    this._column = null;
  }

  /** What is there, without copying. */
  get column() {
    if (this._column === null) {
      const end = this.start + this.size;
      this._column = {
        t: this._t.subarray(this.start, end), v: this._v.subarray(this.start, end),
        s: this._s.subarray(this.start, end), raw: true,
      };
    }
    return this._column;
  }

  get last_s() { return this.size ? this._t[this.start + this.size - 1] : -Infinity; }
  get first_s() { return this.size ? this._t[this.start] : Infinity; }
}
