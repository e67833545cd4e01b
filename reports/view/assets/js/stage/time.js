// The one time of a page: window, cursors, play. Everything that shows time reads it here.

export const SPEEDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
export const SHORTEST_S = 0.005, LONGEST_S = 40 * 86400;
export const AXES = ["sim", "wall", "utc"];
/** While it plays, the cursor stays left of this part of the window. */
const PLAY_PLACE = 0.75;

export class TimeStore {
  constructor({ mode = "replay", first_s = NaN, last_s = NaN } = {}) {
    this.first_s = first_s;
    this.last_s = last_s;
    this.start = first_s;
    this.end = last_s;
    /** Cursor; NaN: none. In `following` it is the newest instant. */
    this.t = NaN;
    this.t2 = NaN;
    /** Where the pointer is; NaN: nowhere. */
    this.hover = NaN;
    this.mode = mode;
    this.live = mode !== "replay";
    this.speed = 1;
    this.playing = false;
    /** [from, to] or null. */
    this.loop = null;
    this.axis = "sim";
    this._listeners = new Set();
  }

  on(fn) { this._listeners.add(fn); return () => this._listeners.delete(fn); }
  _tell(what) { for (const fn of [...this._listeners]) fn(this, what); }

  /** The instant whose values are shown: under the pointer, else the cursor. */
  get at() { return this.hover === this.hover ? this.hover : this.t; }
  get length_s() { return this.end - this.start; }

  /** Set several at once; tells once, and only if something is different. */
  set(changes) {
    let changed = false;
    for (const [key, value] of Object.entries(changes)) {
      const now = this[key];
      if (now === value || (now !== now && value !== value)) continue;
      this[key] = value;
      changed = true;
    }
    if (changed) this._tell("set");
    return changed;
  }

  /** Bounds of what there is; in `following` the window goes along. */
  bounds(first_s, last_s) {
    const changes = {};
    if (first_s === first_s) changes.first_s = first_s;
    if (last_s === last_s) changes.last_s = last_s;
    if (this.mode === "following" && last_s === last_s) {
      const length = this.length_s;
      changes.end = last_s;
      changes.start = last_s - (length > 0 ? length : 30);
      changes.t = last_s;
    }
    return this.set(changes);
  }

  /** Back to what is newest. */
  follow() {
    if (!this.live) return false;
    const length = this.length_s > 0 ? this.length_s : 30;
    return this.set({
      mode: "following", playing: false, end: this.last_s, start: this.last_s - length, t: this.last_s,
    });
  }

  /** Whoever looks elsewhere does not follow any more. */
  _left() { return this.mode === "following" ? { mode: "paused" } : {}; }

  pause() { return this.set({ ...this._left(), playing: false }); }

  toggle() {
    if (this.mode === "following") return this.pause();
    if (this.playing) return this.set({ playing: false });
    return this.play();
  }

  play() {
    const changes = { ...this._left(), playing: true };
    const [from, to] = this.loop ?? [this.first_s, this.last_s];
    if (!(this.t >= from && this.t < to)) changes.t = from;
    this.set(changes);
    return this._show(this.t);
  }

  /** Put the cursor somewhere, and the window where it can be seen. */
  seek(t) {
    t = this._clamped(t);
    if (!(t === t)) return false;
    this.set({ ...this._left(), t });
    return this._show(t);
  }

  _clamped(t) { return Math.min(Math.max(t, this.first_s), this.last_s); }

  _show(t) {
    if (t >= this.start && t <= this.end) return false;
    const length = this.length_s;
    return this.window(t - length / 2, t + length / 2);
  }

  window(start, end) {
    const middle = (start + end) / 2;
    const length = Math.min(Math.max(end - start, SHORTEST_S), LONGEST_S);
    if (length !== end - start) { start = middle - length / 2; end = middle + length / 2; }
    // Half a window beyond what there is may be seen, no more.
    const least = this.first_s - length / 2, most = this.last_s + length / 2;
    if (this.first_s === this.first_s && this.last_s === this.last_s) {
      if (end > most && start > least) { start -= end - most; end = most; }
      if (start < least) { end = Math.min(end + least - start, Math.max(most, least + length)); start = least; }
    }
    return this.set({ ...this._left(), start, end });
  }

  /** All that there is; of a live page the same length as before. */
  all() {
    if (!(this.last_s > this.first_s)) return false;
    return this.set({ ...this._left(), start: this.first_s, end: this.last_s });
  }

  pan(seconds) { return this.window(this.start + seconds, this.end + seconds); }

  /** Zoom by `factor` (< 1: in) with `about` staying in its place. In `following` the end stays. */
  zoom(factor, about = this.at) {
    const length = Math.min(Math.max(this.length_s * factor, SHORTEST_S), LONGEST_S);
    if (this.mode === "following") return this.set({ start: this.end - length });
    if (!(about >= this.start && about <= this.end)) about = (this.start + this.end) / 2;
    const part = (about - this.start) / this.length_s;
    return this.window(about - part * length, about - part * length + length);
  }

  /** One step of the speeds, up or down. */
  faster(steps) {
    let place = SPEEDS.findIndex((speed) => speed >= this.speed - 1e-9);
    if (place < 0) place = SPEEDS.length - 1;
    place = Math.min(Math.max(place + steps, 0), SPEEDS.length - 1);
    return this.set({ speed: SPEEDS[place] });
  }

  nextAxis() { return this.set({ axis: AXES[(AXES.indexOf(this.axis) + 1) % AXES.length] }); }

  /** Loop over what lies between the cursors, else over the window; off if it is on. */
  toggleLoop() {
    if (this.loop) return this.set({ loop: null });
    const between = this.t2 === this.t2 && this.t === this.t && this.t !== this.t2;
    const pair = between ? [this.t, this.t2] : [this.start, this.end];
    pair.sort((a, b) => a - b);
    return this.set({ loop: [this._clamped(pair[0]), this._clamped(pair[1])] });
  }

  /** Play on by `elapsed_s` of wall time. */
  advance(elapsed_s) {
    if (!this.playing) return false;
    let t = this.t + elapsed_s * this.speed;
    const changes = {};
    if (this.loop && this.loop[1] > this.loop[0]) {
      const [from, to] = this.loop;
      if (t >= to) t = from + ((t - from) % (to - from));
    } else if (t >= this.last_s) {
      if (this.live) return this.follow();
      t = this.last_s;
      changes.playing = false;
    }
    const length = this.length_s, edge = this.start + length * PLAY_PLACE;
    if (t > edge && this.end < this.last_s) {
      // The page scrolls under the cursor, until the end is seen.
      const shift = Math.min(this.t <= edge ? t - edge : t - this.t, this.last_s - this.end);
      changes.start = this.start + shift;
      changes.end = this.end + shift;
    }
    if (t < (changes.start ?? this.start) || t > (changes.end ?? this.end)) {
      changes.start = t - length * 0.1;
      changes.end = changes.start + length;
    }
    changes.t = t;
    return this.set(changes);
  }
}
