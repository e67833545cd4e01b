// The data of a stage: live readings in bounded buffers, recorded ones as fine as the window needs.

import { EMPTY, Growing, usualStep_s } from "./columns.js";
import { stateCode } from "./source.js";

/** Readings that all live buffers together may hold, and the least and most for one signal. */
const LIVE_READINGS = 2_000_000, LEAST = 2_000, MOST = 40_000;
/** Columns that are kept though they are not looked at any more. */
const KEPT = 240;
/** Older than the newest by more than this, for this long: the clock has gone back. */
const BACK_S = 2, BACK_FOR_MS = 1500;
const FORWARD_S = 5;
/** How fast a world goes is looked at over this long, at least half of it. */
const PACE_MS = 4000;
const RETRY_MS = 4000;

const keyOf = (name, layer) => `${layer}|${name}`;

export class Book {
  /** `changed()` is called when there is something new to draw; `note(event)` for what was noticed. */
  constructor(source, { changed, note, problem, now = () => performance.now(), isWorld = false }) {
    this.source = source;
    this._changed = changed;
    this._note = note;
    this._problem = problem;
    this._now = now;
    /** The time of a rig's world: it may go at any pace, and does not jump. */
    this.isWorld = isWorld;
    this._marks = [];
    this.live = new Map();
    this.whole = new Map();
    this.detail = new Map();
    this.failed = new Map();
    this.first_s = NaN;
    this.last_s = NaN;
    this.arrived = new Map();
    this.signals = 20;
    this._behindSince = NaN;
    this._lastArrival = NaN;
    this._asked = new Map();
    this._used = new Map();
    this._stamp = 0;
    this._timer = 0;
    this._steps = new Map();
    this.closed = false;
  }

  close() {
    this.closed = true;
    clearTimeout(this._timer);
    clearTimeout(this._retryTimer);
    for (const map of [this.live, this.whole, this.detail, this.arrived]) map.clear();
  }

  /** The column to draw for a window: the finest that covers it. */
  column(name, layer = "", start_s = -Infinity, end_s = Infinity) {
    const key = keyOf(name, layer);
    const growing = this.live.get(key)?.column;
    const detail = this.detail.get(key);
    if (growing && growing.t.length && (growing.t[0] <= start_s || !this.whole.has(key))) {
      if (!detail || growing.t[0] <= start_s) return growing;
    }
    if (detail && detail.start_s <= start_s && detail.end_s >= end_s) return detail.column;
    return this.whole.get(key)?.column ?? growing ?? detail?.column ?? EMPTY;
  }

  has(name, layer = "") {
    const key = keyOf(name, layer);
    return this.live.has(key) || this.whole.has(key) || this.detail.has(key);
  }

  /** Usual step of a signal, looked up anew only when its column is another one. */
  step_s(name, layer = "") {
    const key = keyOf(name, layer);
    const column = this.whole.get(key)?.column ?? this.live.get(key)?.column ?? EMPTY;
    const known = this._steps.get(key);
    // A live column grows all the time; its step is looked up anew at each doubling.
    if (known && known.length <= column.t.length && column.t.length < known.length * 2 + 8) return known.step;
    const step = usualStep_s(column.t);
    this._steps.set(key, { step, length: column.t.length });
    return step;
  }

  // --- live -----------------------------------------------------------------------------------------------

  /** Rows of a message: [[name, t, v, state], ...]. Returns the newest instant among them. */
  take(rows, layer = "") {
    let newest = -Infinity;
    const now = this._now();
    for (const row of rows) {
      const t = row[1];
      if (!Number.isFinite(t)) continue;
      if (t > newest) newest = t;
      this._growing(row[0], layer).push(t, row[2], stateCode(row[3]));
      if (layer === "") this.arrived.set(row[0], now);
    }
    if (newest === -Infinity) return NaN;
    this._clock(newest, now);
    if (!(this.first_s <= newest)) this.first_s = newest;
    this._changed();
    return newest;
  }

  _growing(name, layer) {
    const key = keyOf(name, layer);
    let growing = this.live.get(key);
    if (!growing) {
      const most = Math.min(MOST, Math.max(LEAST, Math.floor(LIVE_READINGS / Math.max(this.signals, 1))));
      growing = new Growing(most);
      this.live.set(key, growing);
    }
    return growing;
  }

  /** Seconds of a world that go by in one of the wall's; 1 where it is not known, and of what is real. */
  get pace() {
    const [since] = this._marks;
    const passed_s = since ? (this._now() - since.now) / 1000 : 0;
    return passed_s * 1000 < PACE_MS / 2 ? 1 : Math.max((this.last_s - since.last_s) / passed_s, 1e-3);
  }

  _goOn(newest, now) {
    if (!(this.last_s >= newest)) this.last_s = newest;
    const last = this._marks[this._marks.length - 1];
    if (last && now - last.now < PACE_MS / 2) return;
    this._marks.push({ now, last_s: this.last_s });
    if (this._marks.length > 3) this._marks.shift();
  }

  _clock(newest, now) {
    if (this.isWorld) { this._goOn(newest, now); return; }
    const elapsed_s = (now - this._lastArrival) / 1000;
    this._lastArrival = now;
    if (!(this.last_s === this.last_s)) { this.last_s = newest; return; }
    const ahead_s = newest - this.last_s - (elapsed_s > 0 ? elapsed_s : 0);
    if (ahead_s > FORWARD_S) this._note({ kind: "jump", t: newest, by_s: newest - this.last_s });
    if (newest >= this.last_s - BACK_S) {
      this._behindSince = NaN;
      this.last_s = Math.max(this.last_s, newest);
      return;
    }
    // Readings that come late are older too, but then others are not.
    if (this._behindSince !== this._behindSince) { this._behindSince = now; return; }
    if (now - this._behindSince < BACK_FOR_MS) return;
    const by_s = newest - this.last_s;
    this._behindSince = NaN;
    this.last_s = newest;
    for (const growing of this.live.values()) growing.cutAfter(newest + BACK_S);
    this._note({ kind: "jump", t: newest, by_s });
  }

  /** How long nothing of a signal has come, in seconds of the wall. */
  silence_s(name) {
    const at = this.arrived.get(name);
    return at === undefined ? Infinity : (this._now() - at) / 1000;
  }

  /** Columns fetched for a live window are put before what has come since. */
  prefill(found, layer = "") {
    for (const [name, column] of found) {
      if (!column.t.length) continue;
      this._growing(name, layer).prepend(normal(column));
      if (!(this.first_s <= column.t[0])) this.first_s = column.t[0];
      const last = column.t[column.t.length - 1];
      if (!(this.last_s >= last)) this.last_s = last;
    }
    this._changed();
  }

  /** Columns that are made anew while they grow take the place of what there was of them. */
  refill(found) {
    for (const [name, column] of found) {
      const growing = this._growing(name, ""), before_s = growing.last_s;
      growing.cutAfter(-Infinity);
      growing.prepend(normal(column));
      if (growing.last_s > before_s) this.arrived.set(name, this._now());
    }
    this._changed();
  }

  // --- recorded -------------------------------------------------------------------------------------------

  /**
   * Ask for what a window needs and is not there: `wanted` = [[name, layer], ...], most urgent first.
   *
   * What is coarse is drawn meanwhile. At most one question of each kind and layer is open.
   */
  want(wanted, window, width, { whole }) {
    this._stamp++;
    for (const [name, layer] of wanted) this._used.set(keyOf(name, layer), this._stamp);
    if (whole) this._wantWhole(wanted, window, width);
    this._wantDetail(wanted, window, width, whole);
    this._forget();
  }

  _wantWhole(wanted, { first_s, last_s }, width) {
    for (const [layer, names] of byLayer(wanted)) {
      const missing = names.filter((name) => (this.whole.get(keyOf(name, layer))?.isOld ?? true) && !this._isAsked("whole", name, layer));
      // What is on the screen comes first: the first answer is small.
      for (const part of parts(missing)) this._ask("whole", part, layer, first_s, last_s, Math.max(400, 2 * width));
    }
  }

  _wantDetail(wanted, { start, end, first_s, last_s }, width, isRecorded) {
    const length = end - start;
    for (const [layer, names] of byLayer(wanted)) {
      const missing = names.filter((name) => this._needsDetail(name, layer, start, end, first_s, last_s, width, isRecorded));
      if (!missing.length) continue;
      const room = length * 0.75;
      const from = Math.max(start - room, first_s === first_s && isRecorded ? first_s : -Infinity);
      const to = end + room;
      this._ask("detail", missing, layer, from, to, Math.ceil(2 * width * ((to - from) / length)));
    }
  }

  _needsDetail(name, layer, start, end, first_s, last_s, width, isRecorded) {
    const key = keyOf(name, layer);
    if (this._isAsked("detail", name, layer, start, end)) return false;
    const growing = this.live.get(key);
    if (growing && growing.size && growing.first_s <= start) return false;
    const entry = this.whole.get(key);
    if (isRecorded && (entry?.isOld ?? true)) return false;
    const whole = entry?.column;
    if (whole?.raw) return false;
    if (whole && end - start > (last_s - first_s) * 0.6) return false;
    const detail = this.detail.get(key);
    if (!detail || detail.isOld) return true;
    const from = Math.max(start, first_s === first_s ? first_s : start), to = Math.min(end, last_s);
    if (detail.start_s > from + 1e-6 || detail.end_s < to - 1e-6) return true;
    return !detail.column.raw && detail.step_s > ((end - start) / width) * 1.7;
  }

  _isAsked(kind, name, layer, start, end) {
    const open = this._asked.get(`${kind}|${keyOf(name, layer)}`);
    if (!open) return false;
    return start === undefined || (open.start_s <= start && open.end_s >= end && open.step_s <= (end - start) / 200);
  }

  async _ask(kind, names, layer, start_s, end_s, points) {
    const asked = { start_s, end_s, step_s: ((end_s - start_s) / points) * 2 };
    for (const name of names) this._asked.set(`${kind}|${keyOf(name, layer)}`, asked);
    try {
      const found = await this.source.series(names, start_s, end_s, points, layer || undefined);
      if (this.closed) return;
      for (const name of names) {
        const key = keyOf(name, layer);
        // A later question has a better answer.
        if (this._asked.get(`${kind}|${key}`) !== asked) continue;
        const column = normal(found.get(name) ?? EMPTY);
        (kind === "whole" ? this.whole : this.detail).set(key, { ...asked, column, isOld: false });
        if (kind === "whole" && this.detail.get(key)?.isOld) this.detail.delete(key);
        this._steps.delete(key);
        this.failed.delete(key);
      }
      this._problem(`series ${layer}`, null);
    } catch (error) {
      if (this.closed) return;
      for (const name of names) this.failed.set(keyOf(name, layer), error);
      this._problem(`series ${layer}`, error, names.length);
      clearTimeout(this._retryTimer);
      this._retryTimer = setTimeout(() => { this.failed.clear(); this._changed(); }, RETRY_MS);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    } finally {
      for (const name of names) {
        const key = `${kind}|${keyOf(name, layer)}`;
        if (this._asked.get(key) === asked) this._asked.delete(key);
      }
      if (!this.closed) this._changed();
    }
  }

  /** What was fetched is out of date: ask again, and show what is there until then. */
  reload() {
    this._asked.clear();
    for (const map of [this.whole, this.detail]) for (const entry of map.values()) entry.isOld = true;
    this._changed();
  }

  _forget() {
    if (this.whole.size + this.detail.size <= KEPT * 2) return;
    const old = [...this.whole.keys()].sort((a, b) => (this._used.get(a) ?? 0) - (this._used.get(b) ?? 0));
    for (const key of old.slice(0, Math.max(0, old.length - KEPT))) {
      if (this._used.get(key) === this._stamp) continue;
      for (const map of [this.whole, this.detail, this._used, this._steps]) map.delete(key);
    }
  }

  /** Bytes of all columns, for the figures. */
  get bytes() {
    let sum = 0;
    for (const growing of this.live.values()) sum += growing.room * 17;
    for (const map of [this.whole, this.detail]) {
      for (const { column } of map.values()) sum += column.t.byteLength + column.v.byteLength;
    }
    return sum;
  }
}

function byLayer(wanted) {
  const found = new Map();
  for (const [name, layer] of wanted) {
    if (!found.has(layer)) found.set(layer, []);
    found.get(layer).push(name);
  }
  return found;
}

/** Names in questions of a size that is answered soon: a few first, then more. */
function* parts(names) {
  for (let from = 0, size = 12; from < names.length; from += size, size = 24) {
    yield names.slice(from, from + size);
  }
}

/** A column as the stage reads it, whatever a source gave: typed, ascending. */
export function normal(column) {
  let { t, v } = column;
  if (!(t instanceof Float64Array)) t = Float64Array.from(t);
  if (!ArrayBuffer.isView(v)) v = Float64Array.from(v, (y) => (y === null || y === undefined ? NaN : y));
  const length = Math.min(t.length, v.length);
  if (t.length !== length) t = t.subarray(0, length);
  if (v.length !== length) v = v.subarray(0, length);
  let s = column.s ?? null;
  if (s && !(s instanceof Uint8Array)) s = Uint8Array.from(s, stateCode);
  for (let i = 1; i < length; i++) {
    if (t[i] >= t[i - 1]) continue;
    const order = Array.from({ length }, (_, k) => k).sort((a, b) => t[a] - t[b]);
    return {
      ...column, t: Float64Array.from(order, (k) => t[k]), v: Float64Array.from(order, (k) => v[k]),
      s: s && Uint8Array.from(order, (k) => s[k]),
    };
  }
  return { ...column, t, v, s, gaps: column.gaps?.length ? column.gaps : null };
}
