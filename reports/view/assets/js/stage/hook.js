// What the page knows of itself, for tests and figures: window.telerigView.

const KEPT = 512;

function isThere(stage) {
  const shown = stage.rows.onScreen();
  return stage.strips.length > 0 && stage.strips.every((strip) => !shown.has(strip.key) || stage.book.has(strip.name));
}

export class Hook {
  constructor(stage) {
    this.stage = stage;
    this.drawn = 0;
    this.lastT = NaN;
    this.offset_s = 0;
    this.drawMs = [];
    this._latencies = [];
    this._painted = [];
    this._waiting = NaN;
    this.firstPainted = null;
    const hook = this;
    this.seen = {
      /** Ask for the time to the next frame, too: costs one frame more for each. */
      measure: false,
      /** Page and source have the same clock: none has to be estimated. */
      isSameClock: false,
      get drawn() { return hook.drawn; },
      get lastT() { return hook.lastT; },
      get latencyP50_ms() { return quantile(hook._latencies, 0.5); },
      get latencyP95_ms() { return quantile(hook._latencies, 0.95); },
      get paintedP50_ms() { return quantile(hook._painted, 0.5); },
      get paintedP95_ms() { return quantile(hook._painted, 0.95); },
      get drawP95_ms() { return quantile(hook.drawMs, 0.95); },
      /** Since the navigation began: the first frame with lines in all strips that can be seen. */
      get firstPainted_ms() { return hook.firstPainted; },
      get mode() { return stage.time.mode; },
      get t() { return stage.time.t; },
      get start() { return stage.time.start; },
      get end() { return stage.time.end; },
      get points() { return stage.points ?? 0; },
      get bytes() { return stage.book?.bytes ?? 0; },
      get connection() { return stage.connection.state; },
      reset() { hook._latencies = []; hook._painted = []; hook.drawMs = []; hook.drawn = 0; },
      stage,
    };
    window.telerigView = this.seen;
  }

  /** Readings have come that were made at `t`. */
  came(t) {
    // The oldest of those that wait for the frame counts.
    if (!(this._waiting <= t)) this._waiting = t;
    this.lastT = t;
  }

  drew(strips, took_ms) {
    keep(this.drawMs, took_ms);
    if (!strips) return;
    this.drawn++;
    if (this.firstPainted === null && isThere(this.stage)) {
      this.firstPainted = NaN;
      requestAnimationFrame(() => { this.firstPainted = performance.now(); });
    }
    const t = this._waiting;
    this._waiting = NaN;
    if (!(t === t)) return;
    const since_ms = () => (now_s() + (this.seen.isSameClock ? 0 : this.offset_s) - t) * 1000;
    keep(this._latencies, since_ms());
    if (this.seen.measure) requestAnimationFrame(() => keep(this._painted, since_ms()));
  }

  end() { if (window.telerigView === this.seen) delete window.telerigView; }
}

// Not performance.now(): that is another clock once the system has corrected its own.
const now_s = () => Date.now() / 1000;

function keep(list, value) {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

function quantile(list, q) {
  if (!list.length) return NaN;
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}
