// How the stage is drawn: its sizes, and one drawing for each animation frame, of what has changed.

import { el } from "../words.js";
import { drawHead, lanesOf } from "./head.js";
import { clock, day } from "./scale.js";
import { HEIGHT as SCRUB_HEIGHT, drawScrubber } from "./scrubber.js";
import { drawStrip } from "./strips.js";

/** What has to be drawn anew: bits of `invalidate()`. */
export const STRIPS = 1, HEAD = 2, SCRUB = 4, READOUT = 8, PANELS = 16, LAYOUT = 32, ALL = 63;
const READOUT_MS = 200;

/** The part of Stage that draws; the fields that it reads are Stage's. */
export class Drawing {
  invalidate(what = STRIPS | HEAD | SCRUB | READOUT | PANELS) {
    this._dirty |= what;
    if (this._frame || this._ended || !this.element.isConnected) return;
    this._frame = requestAnimationFrame((now) => this._draw(now));
  }

  _draw(now) {
    this._frame = 0;
    if (this._ended || !this.theme || !this.book) return;
    const began = performance.now();
    if (this.canvas.ratio && this.canvas.ratio !== ratioNow()) this._dirty |= LAYOUT;
    this._playOn(now);
    this._keepHover();
    const dirty = this._dirty;
    this._dirty = 0;
    if (dirty & LAYOUT || !this.box) this._layout();
    if (dirty & (STRIPS | LAYOUT)) this._drawStrips();
    if (dirty & (HEAD | LAYOUT)) this._drawHead();
    if (dirty & (SCRUB | LAYOUT)) this._drawScrub();
    this._drawCursors();
    if (dirty & READOUT) this._readOut(now);
    if (dirty & (PANELS | LAYOUT)) this.side.draw();
    this.hook.drew(dirty & STRIPS, performance.now() - began);
    this.emit("frame");
    if (this.time.playing) this.invalidate(READOUT);
  }

  /** Who follows and points at a place sees the instant that is there now. */
  _keepHover() {
    const { time, box } = this;
    if (time.hover !== time.hover || typeof this.pointerX !== "number" || !box) return;
    if (time.mode === "following" || time.playing) time.hover = time.start + (this.pointerX / box.w) * time.length_s;
  }

  _playOn(now) {
    if (!this.time.playing) { this._played = null; return; }
    if (this._played) this.time.advance(Math.min((now - this._played) / 1000, 1));
    this._played = now;
  }

  _layout() {
    const style = getComputedStyle(this.element);
    const gutter = parseFloat(style.getPropertyValue("--gutter")) || 0;
    const rowHead = parseFloat(style.getPropertyValue("--row-head")) || 0;
    const least = parseFloat(style.getPropertyValue("--row-least")) || 48;
    const width = this.scroll.clientWidth, height = this.scroll.clientHeight;
    const count = Math.max(this.strips.length, 1);
    const most = Math.max(least, Math.min(180, height));
    const rowHeight = Math.round(Math.min(most, Math.max(least, Math.floor(height / count))));
    this.box = { x: gutter, w: Math.max(width - gutter - 1, 40), width, height, rowHeight, rowHead };
    this.rows.layout(rowHeight);
    this.lanes = lanesOf(this.info, this.events);
    const last = this.lanes[this.lanes.length - 1];
    const headHeight = last.y + last.h;
    this.head.style.height = `${headHeight}px`;
    this.headNames.replaceChildren(...this.lanes.filter((lane) => lane.name).map((lane) =>
      el("span", { style: `top:${lane.y}px;height:${lane.h}px;line-height:${lane.h}px` }, lane.name)));
    size(this.canvas, width, height);
    size(this.headCanvas, width, headHeight);
    size(this.scrubCanvas, this.main.clientWidth, SCRUB_HEIGHT);
    this.plot.style.left = `${gutter}px`;
    this.plot.style.width = `${this.box.w}px`;
    this.plot.style.height = `${height}px`;
    this.toolbar.update();
    this._showEmpty();
    this._wantSoon();
  }

  _showEmpty() {
    let words = "";
    if (!this.info.signals.length) words = this.info.live ? "Nothing has come yet. Strips appear with the first reading." : "There are no readings in this recording.";
    else if (!this.strips.length) words = "No signal is chosen. Press s, or the button Signals.";
    this.empty.textContent = words;
    this.empty.hidden = !words;
  }

  get _view() {
    const { time, theme, info, events, epoch_s } = this;
    return {
      start: time.start, end: time.end, t: time.t, axis: time.axis, loop: time.loop, theme, info, events, epoch_s,
      first_s: time.first_s, last_s: time.last_s, overview: this.overview, limits: this.allLimits,
    };
  }

  _drawStrips() {
    const { box, theme, time } = this;
    const g = pen(this.canvas, theme);
    const view = this._view, top = this.scroll.scrollTop;
    this._drawnStart = time.start;
    this._drawnEnd = time.end;
    let points = 0;
    if (!(time.end > time.start)) return;
    const first = Math.max(0, Math.floor(top / box.rowHeight));
    const last = Math.min(this.strips.length, Math.ceil((top + box.height) / box.rowHeight));
    this._drawGrid(g, view, Math.min(box.height, (last * box.rowHeight) - top));
    for (let i = first; i < last; i++) {
      const strip = this.strips[i];
      strip.stale = this.isStale(strip.name);
      strip.colour = this.colourOf(strip.name);
      strip.lines = strip.layers.map((layer) => ({
        layer: layer === "" && strip.layers.length > 1 ? "reported" : layer,
        column: this.book.column(strip.name, layer, time.start, time.end), step_s: this.book.step_s(strip.name, layer),
      }));
      const place = { x: box.x, y: i * box.rowHeight - top + box.rowHead, w: box.w, h: box.rowHeight - box.rowHead - 1 };
      g.save();
      g.beginPath();
      g.rect(place.x, place.y, place.w, place.h);
      g.clip();
      view.isLit = strip.isLit = this._lit === strip.name;
      points += drawStrip(g, place, strip, view);
      g.restore();
    }
    this.points = points;
  }

  _drawGrid(g, view, height) {
    const { box } = this;
    const scale = box.w / (view.end - view.start), X = (t) => box.x + (t - view.start) * scale;
    g.fillStyle = view.theme.rule;
    for (const phase of this.info.phases) {
      const x = Math.round(X(phase.start_s));
      if (x > box.x && x < box.x + box.w) g.fillRect(x, 0, 1, height);
    }
    g.globalAlpha = 0.1;
    g.fillStyle = view.theme.fault;
    for (const fault of this.info.faults) {
      const from = Math.max(box.x, X(fault.start_s)), to = Math.min(box.x + box.w, X(fault.end_s ?? view.end));
      if (to > from) g.fillRect(from, 0, to - from, height);
    }
    g.globalAlpha = 1;
  }

  _drawHead() {
    const g = pen(this.headCanvas, this.theme);
    if (this.time.end > this.time.start) drawHead(g, { x: this.box.x, w: this.box.w }, this.lanes, this._view);
  }

  _drawScrub() {
    const width = this.main.clientWidth;
    this.scrubBox = { x: 8, y: 0, w: Math.max(width - 16, 20), h: SCRUB_HEIGHT };
    drawScrubber(pen(this.scrubCanvas, this.theme), this.scrubBox, this._view);
    const { time } = this;
    const now = Number.isFinite(time.t) ? time.t : time.start;
    this.scrubCanvas.setAttribute("aria-valuemax", (time.last_s - time.first_s || 0).toFixed(1));
    this.scrubCanvas.setAttribute("aria-valuenow", (now - time.first_s || 0).toFixed(1));
    this.scrubCanvas.setAttribute("aria-valuetext", `${this.clock(now)}, window ${this.clock(time.start)} to ${this.clock(time.end)}`);
  }

  /** An instant in the words of the axis that is shown. */
  clock(t, digits = 3) { return clock(t, this.time.axis, this.epoch_s, digits); }
  day(t) { return this.time.axis === "sim" ? "" : day(t, this.time.axis); }

  _drawCursors() {
    const { time, cursors, box } = this;
    if (!box) return;
    const scale = box.w / (time.end - time.start);
    const put = (element, t, isShown = true) => {
      const x = (t - time.start) * scale;
      const hidden = !isShown || !(x >= 0 && x <= box.w);
      if (element.hidden !== hidden) element.hidden = hidden;
      if (!hidden) element.style.transform = `translateX(${x.toFixed(1)}px)`;
      return x;
    };
    put(cursors.t, time.t, time.mode !== "following");
    put(cursors.t2, time.t2);
    put(cursors.hover, time.hover);
    const both = time.t === time.t && time.t2 === time.t2;
    const from = Math.max(time.start, Math.min(time.t, time.t2)), to = Math.min(time.end, Math.max(time.t, time.t2));
    put(cursors.between, from, both && to > from);
    if (both && to > from) cursors.between.style.width = `${((to - from) * scale).toFixed(1)}px`;
  }

  _readOut(now) {
    // Numbers that change faster cannot be read; the cursor's own are there at once.
    const isOwn = this.time.at === this.time.hover || this.time.mode !== "following";
    if (!isOwn && now - (this._readAt ?? -1e9) < READOUT_MS) {
      this._readLater ??= setTimeout(() => { this._readLater = null; this.invalidate(READOUT); }, READOUT_MS);
      return;
    }
    this._readAt = now;
    this.rows.read();
    this.toolbar.read();
    this.exact.soon();
  }
}

function pen(canvas, theme) {
  const g = canvas.getContext("2d");
  const ratio = canvas.ratio || 1;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio);
  g.font = theme.font;
  return g;
}

function ratioNow() { return Math.min(window.devicePixelRatio || 1, 3); }

/** Give a canvas as many pixels as the screen has there. */
function size(canvas, width, height) {
  const ratio = ratioNow();
  const w = Math.max(1, Math.round(width * ratio)), h = Math.max(1, Math.round(height * ratio));
  canvas.ratio = ratio;
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}
