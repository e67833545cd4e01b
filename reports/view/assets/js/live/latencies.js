// How long readings took from the gateway to this page, of late.

const KEPT = 256;

export class Latencies {
  constructor() {
    this._values = new Float32Array(KEPT);
    this._count = 0;
  }

  add(ms) { this._values[this._count++ % KEPT] = ms; }

  /** Give a part of the order, 0.5 or 0.95; NaN before anything came. */
  quantile(part) {
    const size = Math.min(this._count, KEPT);
    if (!size) return NaN;
    const sorted = this._values.slice(0, size).sort();
    return sorted[Math.min(size - 1, Math.floor(part * size))];
  }
}
