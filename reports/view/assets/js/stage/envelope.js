// Lines as few points: of all readings that fall on one pixel the first, the extremes and the last.

import { lowerBound } from "./columns.js";

/**
 * Call `move`/`line` for the readings of a column from x0 to x1 pixels, `scale` pixels a second.
 *
 * A line breaks at readings that are no number or are lost, at gaps, and at steps longer than
 * `longest_s`. Returns how many points were drawn.
 */
export function trace(column, start_s, end_s, scale, longest_s, out) {
  const { t, v, s, gaps } = column;
  // One reading beyond each edge: the line goes on out of sight.
  const from = Math.max(0, lowerBound(t, start_s) - 1);
  const to = Math.min(t.length, lowerBound(t, end_s) + 1);
  let points = 0, open = false, last = -Infinity;
  let gap = 0;
  const dense = (to - from) > scale * (end_s - start_s) * 3;
  let pixel = NaN, low = 0, high = 0, exit = 0, x = 0, count = 0, lowFirst = true;
  const flush = () => {
    if (!count) return;
    // From here on all lies on one pixel: the order of the extremes decides how it joins.
    if (count > 1 && high !== low) {
      out.line(x, lowFirst ? low : high);
      out.line(x, lowFirst ? high : low);
      points += 2;
    }
    if (count > 1) { out.line(x, exit); points++; }
    count = 0;
  };
  for (let i = from; i < to; i++) {
    const y = v[i], at = t[i];
    if (y !== y || y === Infinity || y === -Infinity || (s !== null && s !== undefined && s[i] === 3)) {
      if (dense) flush();
      open = false;
      continue;
    }
    if (open && at - last > longest_s) { if (dense) flush(); open = false; }
    if (open && gaps) {
      while (gap < gaps.length && gaps[gap][1] <= last) gap++;
      if (gap < gaps.length && gaps[gap][0] < at && gaps[gap][1] > last) {
        if (dense) flush();
        open = false;
      }
    }
    last = at;
    const here = (at - start_s) * scale;
    if (!dense) {
      if (open) out.line(here, y); else out.move(here, y, i);
      open = true;
      points++;
      continue;
    }
    const place = Math.floor(here);
    if (open && place === pixel) {
      if (y < low) { low = y; lowFirst = false; }
      if (y > high) { high = y; lowFirst = true; }
      exit = y;
      count++;
      continue;
    }
    flush();
    if (open) out.line(place + 0.5, y); else out.move(place + 0.5, y, i);
    points++;
    open = true;
    pixel = place; x = place + 0.5;
    low = high = exit = y;
    count = 1;
  }
  if (dense) flush();
  return points;
}

/** Smallest and greatest number of a column within a window; NaN without one. */
export function extremes(column, start_s, end_s) {
  const { t, v, s } = column;
  const to = lowerBound(t, end_s + 1e-9);
  let lo = Infinity, hi = -Infinity;
  for (let i = Math.max(0, lowerBound(t, start_s) - 1); i < to; i++) {
    const y = v[i];
    if (y < lo && y !== -Infinity && !(s && s[i] === 3)) lo = y;
    if (y > hi && y !== Infinity && !(s && s[i] === 3)) hi = y;
  }
  return lo <= hi ? { lo, hi } : { lo: NaN, hi: NaN };
}

/**
 * A pen that leaves out points which lie within `tolerance` pixels of the line that it draws anyway.
 *
 * From the last point that was drawn it keeps the range of slopes that pass all points since within the
 * tolerance (a swinging door); the point before the first that does not fit is drawn. Peaks stay.
 */
export class Thinning {
  constructor(move, line, tolerance = 0.12) {
    this._move = move;
    this._line = line;
    this._tolerance = tolerance;
    this._has = false;
    this.points = 0;
  }

  move(x, y) {
    this.end();
    this._move(x, y);
    this.points++;
    this._x = x; this._y = y;
    this._low = -Infinity; this._high = Infinity;
  }

  line(x, y) {
    const dx = x - this._x;
    if (dx > 0) {
      const slope = (y - this._y) / dx;
      if (slope >= this._low && slope <= this._high) {
        const room = this._tolerance / dx;
        if (slope - room > this._low) this._low = slope - room;
        if (slope + room < this._high) this._high = slope + room;
        this._has = true;
        this._px = x; this._py = y;
        return;
      }
    }
    if (this._has) {
      // The door is shut: what came last is drawn, and the door swings anew from there.
      this._put(this._px, this._py);
      this._has = false;
      this.line(x, y);
      return;
    }
    this._put(x, y);
  }

  _put(x, y) {
    this._line(x, y);
    this.points++;
    this._x = x; this._y = y;
    this._low = -Infinity; this._high = Infinity;
  }

  /** Draw what waits. */
  end() {
    if (!this._has) return;
    this._has = false;
    this._put(this._px, this._py);
  }
}
