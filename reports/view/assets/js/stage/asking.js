// What the stage asks its source for, and when: events and overview once, columns as the window needs them.

import { Drawing, HEAD, PANELS, READOUT, SCRUB, STRIPS } from "./drawing.js";

/** While the window moves, columns are asked for at this interval. */
const WANT_MS = 80;
const RETRY_MS = 5000;

/** The part of Stage that asks; the fields that it reads are Stage's. */
export class Asking extends Drawing {
  _fetch() {
    const { info, time } = this;
    this._want();
    const key = "events";
    if (!this._askedOnce) {
      this._askedOnce = true;
      const events = () => this.source.events(time.first_s, info.live ? Infinity : time.last_s)
        .then((found) => { this.problem(key, null); this._addEvents(found ?? []); });
      this._try(key, events);
      this._lookOver();
      if (info.live) { this._filledNames = new Set(this.selected); this._prefill(); }
    } else this._prefillNew();
  }

  _lookOver() {
    this._overAt = performance.now();
    this._try("overview", () => this.source.overview().then((found) => {
      if (this._ended) return;
      this.problem("overview", null);
      this.overview = found;
      this.invalidate(SCRUB);
    }));
  }

  async _try(key, ask) {
    try { await ask(); } catch (error) {
      if (this._ended) return;
      this.problem(key, error instanceof Error ? error : new Error(String(error)));
      setTimeout(() => { if (!this._ended) this._try(key, ask); }, RETRY_MS);
    }
  }

  /** Live strips begin with what was there before the page, or before they were chosen. */
  _prefill(names = this.selected) {
    const { time, info } = this;
    if (!names.length || (info.kind !== "live" && info.start_s === null)) return;
    const start = info.kind === "live" ? time.end - time.length_s : info.start_s;
    this._filled_s = time.length_s;
    this._try("history", async () => {
      const found = await this.source.series(names, start, Infinity, 2 * this.plotWidth);
      if (this._ended) return;
      this.problem("history", null);
      this.book.prefill(found);
    });
  }

  /** Figures of what grows are made anew now and then, not told reading by reading. */
  async _refill() {
    const names = this.selected.filter((name) => this.signalsByName.get(name)?.derived);
    if (!names.length || this._refilling || !this._askedOnce) return;
    this._refilling = true;
    try {
      const found = await this.source.series(names, this.info.start_s ?? -Infinity, Infinity, 2 * this.plotWidth);
      if (!this._ended && this.info.live) this.book.refill(found);
    } catch { /* the next ones are asked for soon */ } finally { this._refilling = false; }
  }

  /** What a live window shows now and did not before: new strips, or more time. */
  _prefillNew() {
    if (!this.info.live || !this.book || this.time.mode !== "following") return;
    if (this.time.length_s > (this._filled_s ?? Infinity) * 1.02 && this.info.kind === "live") { this._prefill(); return; }
    const fresh = this.selected.filter((name) => !this._filledNames?.has(name));
    this._filledNames = new Set([...(this._filledNames ?? []), ...fresh]);
    if (fresh.length && this._askedOnce) this._prefill(fresh);
  }

  _want() {
    clearTimeout(this._wantTimer);
    this._wantTimer = 0;
    this._wantedAt = performance.now();
    if (!this.book || this._ended) return;
    const { time } = this;
    if (time.mode === "following") return;
    const shown = this.rows.onScreen(), wanted = [];
    const add = (strip) => { for (const layer of strip.layers) wanted.push([strip.name, layer]); };
    for (const strip of this.strips) if (shown.has(strip.key)) add(strip);
    for (const strip of this.strips) if (!shown.has(strip.key)) add(strip);
    this.book.want(wanted, time, Math.min(this.plotWidth, this.view.settings?.points || 4000), { whole: !this.info.live });
  }

  /** Ask at once after a rest; while the window moves, not more often than answers are of use. */
  _wantSoon() {
    if (this._wantTimer) return;
    const rest_ms = performance.now() - (this._wantedAt ?? -Infinity);
    this._wantTimer = setTimeout(() => this._want(), rest_ms > WANT_MS ? 0 : WANT_MS - rest_ms);
  }

  get plotWidth() { return Math.max(200, Math.round((this.box?.w ?? this.main?.clientWidth ?? 800) || 800)); }

  _dataChanged() {
    if (this._ended) return;
    if (this.info.live) {
      if (this.time.mode === "following") this.time.bounds(this.book.first_s, this.book.last_s);
      // Who has paused is not told 20 times a second that there is more: the scrubber shows it.
      else if (this.book.last_s === this.book.last_s) {
        this.time.last_s = this.book.last_s;
        this._lastMoved = true;
      }
    }
    this.emit("data");
    if (this.time.mode !== "following") this._wantSoon();
    this.invalidate(STRIPS | HEAD | READOUT | PANELS);
  }
}
