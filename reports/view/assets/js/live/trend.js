// The short past of a signal as a small line: the extremes of each second, drawn in a few pixels.

export const COLUMNS = 60;

export class Trend {
  constructor(columns = COLUMNS) {
    this.columns = columns;
    this.lows = new Float64Array(columns).fill(NaN);
    this.highs = new Float64Array(columns).fill(NaN);
    this.newest = -Infinity; // the second that the last place stands for
  }

  add(t, v) {
    if (!Number.isFinite(v) || !Number.isFinite(t)) return;
    const second = Math.floor(t);
    if (second > this.newest) this._to(second);
    const place = this.columns - 1 - (this.newest - second);
    if (place < 0) return;
    if (!(this.lows[place] <= v)) this.lows[place] = v;
    if (!(this.highs[place] >= v)) this.highs[place] = v;
  }

  /** Let the last place stand for a second; what leaves at the left is forgotten. */
  _to(second) {
    const steps = Math.min(this.columns, second - this.newest);
    for (const values of [this.lows, this.highs]) {
      values.copyWithin(0, steps);
      values.fill(NaN, this.columns - steps);
    }
    this.newest = second;
  }

  /** Time goes on, also where nothing comes. */
  until(t) { if (Number.isFinite(t) && Math.floor(t) > this.newest && this.newest > -Infinity) this._to(Math.floor(t)); }

  get range() {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < this.columns; i++) {
      if (this.lows[i] < low) low = this.lows[i];
      if (this.highs[i] > high) high = this.highs[i];
    }
    return low <= high ? [low, high] : null;
  }

  /** Draw it into a canvas of w by h pixels. */
  draw(g, w, h, colour) {
    g.clearRect(0, 0, w, h);
    const range = this.range;
    if (!range) return;
    const [low, high] = range;
    const scale = high > low ? (h - 3) / (high - low) : 0;
    const Y = (v) => (scale ? h - 1.5 - (v - low) * scale : h / 2);
    const X = (i) => ((i + 0.5) / this.columns) * w;
    g.strokeStyle = colour;
    g.lineWidth = 1.25;
    g.lineJoin = "round";
    g.beginPath();
    let isOpen = false, gap = 0;
    for (let i = 0; i < this.columns; i++) {
      const a = this.lows[i], b = this.highs[i];
      if (!(a <= b)) { gap++; if (gap > 5) isOpen = false; continue; }
      gap = 0;
      if (isOpen) g.lineTo(X(i), Y(a)); else g.moveTo(X(i), Y(a));
      if (b > a) g.lineTo(X(i), Y(b)); else if (!isOpen) g.lineTo(X(i) + 0.5, Y(b));
      isOpen = true;
    }
    g.stroke();
  }
}
