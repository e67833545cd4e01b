// The map: where it was, in metres of the first fix. Needs no network; tiles only where the user has set them.

import { coloured, furniture, grid, legend, line, marker } from "../map/draw.js";
import { bindGestures } from "../map/gestures.js";
import { Plane, Sight, aside, boxOf, degrees, isFix, metres, nearest } from "../map/ground.js";
import { Tiles } from "../map/tiles.js";
import { Track } from "../map/track.js";
import { METRES_A_DILUTION, quietly } from "../sources/gateway.js";
import { el } from "../words.js";

const POINTS = 4000, MARGIN = 18, FURNITURE = 26;
/** The track of a live page reaches so far back. */
const LIVE_S = 3600;
/** What lies under the marker is drawn anew so often at most, while it grows. */
const BASE_MS = 250, TOP_MS = 100;
const COLOUR_MS = 5000;

export function panel(stage, view) { return new MapPanel(stage, view); }

class MapPanel {
  name = "map";
  title = "Map";
  key = "g";

  constructor(stage, view) {
    this.stage = stage;
    this.reported = new Track();
    this.truth = new Track();
    this.plane = null;
    this.sight = new Sight();
    this.isFitted = true;
    this._top_ms = this._base_ms = -Infinity;
    this.colour = null;
    this.now = { lat: NaN, lon: NaN, t: NaN, hdop: NaN };
    this.asked = false;
    this._build(view);
    this._offs = [
      stage.on("info", () => this._info()),
      stage.source.subscribe((message) => this._heard(message)),
    ];
    this._info();
    this._load();
  }

  // --- elements -------------------------------------------------------------------------------------------

  _build(view) {
    this.canvas = el("canvas", { class: "map-canvas", tabindex: "0", role: "img", "aria-label": "Map of the track" });
    this.base = document.createElement("canvas");
    this.place = el("p", { class: "map-place", role: "note" });
    this.note = el("p", { class: "map-note", hidden: true });
    this.choice = el("select", { "aria-label": "Colour of the track", class: "map-colour" });
    this.choice.addEventListener("change", () => this._colourBy(this.choice.value));
    const button = (text, label, act) => el("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: act }, text);
    this.tools = el("div", { class: "map-tools" },
      button("+", "Zoom in", () => this.zoom(1.5)), button("−", "Zoom out", () => this.zoom(1 / 1.5)),
      this.fitButton = button("Fit", "Show the whole track", () => this.fit()), this.choice);
    this.frame = el("div", { class: "map-frame" }, this.canvas, this.note);
    this.element = el("div", { class: "map" }, this.tools, this.frame, this.place);
    if (view.config?.tileStyle) this.tiles = new Tiles(view.config.tileStyle, () => this.again());
    bindGestures(this);
  }

  // --- data -----------------------------------------------------------------------------------------------

  _info() {
    const { info } = this.stage;
    const names = info.signals.map((signal) => signal.name).filter((name) => !/(^|:)(LAT|LON)$/.test(name));
    const key = names.join();
    if (key !== this._choices) {
      this._choices = key;
      const now = this.choice.value;
      this.choice.replaceChildren(el("option", { value: "" }, "one colour"), ...names.map((name) =>
        el("option", { value: name }, info.signals.find((one) => one.name === name).label)));
      this.choice.value = names.includes(now) ? now : "";
    }
    if (info.has.track && !this.asked) this._load();
    this.again();
  }

  async _load() {
    const { stage } = this, { info } = stage;
    if (!info.has.track) return;
    this.asked = true;
    const end_s = info.end_s ?? Infinity;
    const start_s = info.kind === "live" ? (stage.source.hub?.now_s() ?? Date.now() / 1e3) - LIVE_S : info.start_s ?? -Infinity;
    this.loading = true;
    const found = await quietly(stage.source.track(start_s, end_s, POINTS));
    this.loading = false;
    if (this.isOver) return;
    this.problem = found === null && info.kind !== "live" ? "The track could not be read." : "";
    if (found) this._take(found);
    this.again();
  }

  _take({ reported, truth }) {
    const later = [];
    const last_s = reported?.t.length ? reported.t[reported.t.length - 1] : -Infinity;
    for (let i = 0; i < this.reported.count; i++) {
      if (this.reported.t[i] > last_s) later.push([this.reported.t[i], this.reported.lat[i], this.reported.lon[i], this.reported.error_m[i]]);
    }
    this._aim(reported) || this._aim(truth);
    if (!this.plane) return;
    if (reported) this.reported.set(reported, this.plane);
    for (const [t, lat, lon, error_m] of later) this.reported.push(t, lat, lon, error_m, this.plane);
    if (truth) this.truth.set(truth, this.plane);
    if (this.isFitted) this.fit();
  }

  /** The first fix is where the plane touches. */
  _aim(found) {
    if (!found) return false;
    for (let i = 0; i < found.t.length; i++) {
      if (isFix(found.lat[i], found.lon[i])) { this.plane = new Plane(found.lat[i], found.lon[i]); return true; }
    }
    return false;
  }

  _heard(message) {
    if (message.type === "reload") { if (message.start_s === undefined) this.reported.clear(); this._load(); return; }
    if (message.type !== "readings" || message.layer) return; // the true way is asked for, not heard
    const { now } = this;
    for (const [name, t, v] of message.rows) {
      const short = name.slice(name.indexOf(":") + 1);
      if (short !== name && !this._isFirst(name)) continue;
      if (short === "LAT") { now.lat = v; now.latT = t; }
      else if (short === "LON") { now.lon = v; now.lonT = t; }
      else if (short === "HDOP") { now.hdop = v; continue; }
      else continue;
      // Both halves of a fix have the same instant.
      if (now.latT === now.lonT && now.latT !== this.lastT) this._fix(now.latT);
    }
  }

  /** Of several devices the first one's way is drawn. */
  _isFirst(name) { return name.startsWith(`${this.stage.info.device}:`); }

  _fix(t) {
    const { lat, lon, hdop } = this.now;
    if (!isFix(lat, lon)) return;
    this.lastT = t;
    this.plane ??= new Plane(lat, lon);
    this.reported.push(t, lat, lon, hdop * METRES_A_DILUTION, this.plane);
    if (this.isFitted) this._fitSoon = true;
    this.stage.invalidate(16);
  }

  async _colourBy(name) {
    this.colour = null;
    this._colourName = name;
    if (name) {
      const { info, source } = this.stage;
      const start_s = this.reported.count ? this.reported.t[0] : info.start_s ?? -Infinity;
      const found = await quietly(source.series([name], start_s, info.end_s ?? Infinity, POINTS));
      const column = found?.get(name);
      if (this.isOver || this._colourName !== name) return;
      if (column?.t.length) {
        let low = Infinity, high = -Infinity;
        for (const v of column.v) { if (v < low) low = v; if (v > high) high = v; }
        const signal = info.signals.find((one) => one.name === name);
        this.colour = { t: column.t, v: column.v, low, high, words: `${signal?.label ?? name}${signal?.unit ? ` [${signal.unit}]` : ""}` };
      }
      this._coloured_ms = performance.now();
    }
    this.again();
  }

  // --- time -----------------------------------------------------------------------------------------------

  seek(X, Y) {
    const i = nearest(this.reported, this.sight, X, Y);
    if (i >= 0) this.stage.time.seek(this.reported.t[i]);
  }

  pointAt(X, Y) {
    const i = nearest(this.reported, this.sight, X, Y, 10);
    this.canvas.style.cursor = i >= 0 ? "pointer" : "";
    if (this.stage.time.mode !== "following") this.stage.time.set({ hover: i >= 0 ? this.reported.t[i] : NaN });
  }

  zoom(factor, X, Y) {
    this.isFitted = false;
    this.sight.zoom(factor, X, Y);
    this.again();
  }

  fit() {
    this.isFitted = true;
    const box = boxOf(this.reported.x, this.reported.y, this.reported.count) ?? boxOf(this.truth.x, this.truth.y, this.truth.count);
    this.left = box?.left ?? 0;
    if (box) this.sight.fit(box, MARGIN, FURNITURE);
    this.again();
  }

  again() {
    this._base_ms = -Infinity;
    this.stage.invalidate(16);
  }

  // --- drawing --------------------------------------------------------------------------------------------

  visible() { return true; }

  draw(stage) {
    const words = this._words();
    this.note.textContent = words;
    this.note.hidden = !words;
    const isEmpty = !this.plane;
    this.canvas.hidden = this.tools.hidden = this.place.hidden = isEmpty;
    this.element.dataset.state = isEmpty ? "empty" : "drawn";
    if (isEmpty) return;
    const w = this.frame.clientWidth, h = this.frame.clientHeight;
    if (!w || !h) return;
    if (w !== this.sight.w || h !== this.sight.h) {
      this.sight.w = w;
      this.sight.h = h;
      if (this.isFitted) this._fitSoon = true;
      this._base_ms = -Infinity;
    }
    const now_ms = performance.now();
    // A marker that follows moves a pixel or so: what costs a frame need not be done in each.
    const isCalm = stage.time.mode === "following" && !(stage.time.hover === stage.time.hover);
    if (isCalm && now_ms - this._top_ms < TOP_MS && this._base_ms !== -Infinity) { this._later(stage, TOP_MS); return; }
    this._top_ms = now_ms;
    if (this._isDue(now_ms, stage)) this._drawBase(now_ms, stage, w, h);
    this._drawTop(stage, w, h);
    if (this._colourName && stage.info.live && now_ms - this._coloured_ms > COLOUR_MS) { this._coloured_ms = now_ms; this._colourBy(this._colourName); }
  }

  _words() {
    const { stage } = this, { info } = stage;
    if (!this.plane) {
      if (this.problem) return this.problem;
      if (this.loading) return "Reading the track …";
      if (info.has.track) return info.live ? "No fix yet: the receiver has no position." : "There is no fix in this recording.";
      const what = { live: "This device sends no position", session: "This session has no GPS", run: "This run has no GPS" }[info.kind];
      return `${what}: there is no LAT and LON.`;
    }
    const notes = [this.tiles?.problem, this.left ? `${this.left} fixes far away are outside of the picture.` : ""];
    return notes.filter(Boolean).join(" ");
  }

  _isDue(now_ms, stage) {
    const key = `${this.reported.version} ${this.truth.version} ${stage.time.mode === "following" ? "" : `${stage.time.start} ${stage.time.end}`} ${this._fitSoon}`;
    const isOther = key !== this._baseKey;
    const wait_ms = stage.info.live && this._base_ms > 0 ? BASE_MS : 0;
    if (this._base_ms !== -Infinity && (!isOther || now_ms - this._base_ms < wait_ms)) {
      // What was put off is not forgotten.
      if (isOther) this._later(stage, wait_ms);
      return false;
    }
    this._baseKey = key;
    return true;
  }

  _later(stage, wait_ms) {
    this._timer ||= setTimeout(() => { this._timer = 0; stage.invalidate(16); }, wait_ms);
  }

  _drawBase(now_ms, stage, w, h) {
    const { sight, theme } = { sight: this.sight, theme: stage.theme };
    if (this._fitSoon) { this._fitSoon = false; this.fit(); }
    this._base_ms = now_ms;
    const g = pen(this.base, w, h, theme);
    g.fillStyle = theme.paper;
    g.fillRect(0, 0, w, h);
    grid(g, sight, theme);
    this.tiles?.draw(g, sight, this.plane);
    const { time } = stage, isWhole = time.mode === "following";
    const from_s = isWhole ? -Infinity : time.start, to_s = isWhole ? Infinity : time.end;
    if (this.truth.count) line(g, this.truth, sight, { colour: theme.truth, width: 5 });
    const colour = theme.series[0];
    if (!isWhole) {
      g.globalAlpha = 0.35;
      line(g, this.reported, sight, { colour, width: 1.5 });
      g.globalAlpha = 1;
    }
    if (this.colour) coloured(g, this.reported, sight, this.colour, { from_s, to_s, theme });
    else line(g, this.reported, sight, { colour, from_s, to_s });
    const first = this.reported.first;
    if (first >= 0) {
      g.strokeStyle = theme.ink;
      g.lineWidth = 1.5;
      g.beginPath();
      g.arc(sight.X(this.reported.x[first]), sight.Y(this.reported.y[first]), 4, 0, 2 * Math.PI);
      g.stroke();
    }
    furniture(g, sight, theme);
    if (this.colour) legend(g, sight, this.colour, theme);
  }

  _drawTop(stage, w, h) {
    const { sight } = this, { theme, time } = stage;
    const g = pen(this.canvas, w, h, theme);
    g.drawImage(this.base, 0, 0, w, h);
    const t = time.mode === "following" && !(time.hover === time.hover) ? Infinity : time.at;
    const place = t === Infinity ? this.reported.at(this.reported.count ? this.reported.t[this.reported.count - 1] : NaN) : this.reported.at(t);
    const truth = this.truth.at(t === Infinity ? stage.time.last_s : t);
    if (truth) { g.strokeStyle = theme.ink; g.lineWidth = 1.5; g.beginPath(); g.arc(sight.X(truth.x), sight.Y(truth.y), 6, 0, 2 * Math.PI); g.stroke(); }
    if (place) marker(g, sight, place, theme, { isStale: stage.info.live && stage.connection.state !== "up", heading: this._heading(place) });
    this._readOut(place, truth);
  }

  /** From the way itself: no second opinion is needed. */
  _heading({ i }) {
    const { x, y, count } = this.reported, a = Math.max(0, i - 1), b = Math.min(count - 1, i + (i === a ? 1 : 0));
    const dx = x[b] - x[a], dy = y[b] - y[a];
    return Math.hypot(dx, dy) > 0.5 ? Math.atan2(dx, dy) : NaN;
  }

  _readOut(place, truth) {
    const now_ms = performance.now();
    if (now_ms - (this._read_ms ?? -Infinity) < 100) return;
    this._read_ms = now_ms;
    let words = "no fix here yet";
    if (place) {
      const parts = [`${degrees(place.lat, true)}, ${degrees(place.lon, false)}`, `${aside(place.x, false)}, ${aside(place.y, true)} of the start`];
      if (place.error_m > 0) parts.push(`± ${metres(place.error_m)} (from HDOP)`);
      if (truth) parts.push(`${metres(Math.hypot(place.x - truth.x, place.y - truth.y))} off the truth`);
      if (place.old_s > 3) parts.push(`fix is ${Math.round(place.old_s)} s old`);
      words = parts.join(" · ");
    }
    if (this.place.textContent !== words) this.place.textContent = words;
    if (this.tiles?.credit && !this.place.title) this.place.title = this.tiles.credit;
  }

  destroy() {
    this.isOver = true;
    clearTimeout(this._timer);
    for (const off of this._offs) off?.();
  }
}

function pen(canvas, w, h, theme) {
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(w * ratio)) canvas.width = Math.round(w * ratio);
  if (canvas.height !== Math.round(h * ratio)) canvas.height = Math.round(h * ratio);
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.font = theme.font;
  return g;
}
