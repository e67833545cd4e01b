// The stage: one page for live readings and for recorded ones. It owns time, data, selection and drawing;
// sources give readings, panels look at the same instant.
//
//   stage.time      TimeStore: {t, t2, hover, at, start, end, mode, speed, loop, playing, axis}
//   stage.source    where readings come from;  stage.info  what is known of it
//   stage.selected  names of the signals shown;  stage.layers  Set of layers drawn beside the usual one
//   stage.hover     signal that is lit (a panel may set it)
//   stage.data(name, layer)    {t, v, s, from, to}: a column, and the part of it in the window
//   stage.valueAt(name, t, layer)   {t, v, s, exact} or null
//   stage.events    all events, ascending
//   stage.on("time"|"data"|"info"|"selected"|"hover"|"frame"|"events"|"connection", fn) -> off
//   stage.addPanel({name, title, element, key?, draw(stage), visible(stage), destroy()})
//   stage.invalidate()    one draw in the next animation frame, if anything has changed

import { el } from "../words.js";
import { fromAddress, same, toAddress } from "./address.js";
import { Book } from "./book.js";
import { EMPTY, between, lowerBound, placeAt } from "./columns.js";
import { ALL, HEAD, LAYOUT, PANELS, READOUT, SCRUB, STRIPS } from "./drawing.js";
import { Exact } from "./exact.js";
import { Hearing, MOST_DEFAULT } from "./hearing.js";
import { Hook } from "./hook.js";
import { jumpTo } from "./jumps.js";
import { bindKeys } from "./keys.js";
import { worst } from "./limits.js";
import { bindPointer } from "./pointer.js";
import { Rows } from "./rows.js";
import { Side } from "./side.js";
import { completed, limitsOf } from "./source.js";
import { Theme } from "./theme.js";
import { TimeStore } from "./time.js";
import { Toolbar } from "./toolbar.js";

/** No sign of life for so long: everything is grey. */
const SILENT_S = 1;
const TICK_MS = 200, URL_MS = 300, SCRUB_MS = 500;
/** The overview of what grows is looked up anew so often. */
const OVERVIEW_MS = 60_000;

export class Stage extends Hearing {
  constructor(element, view, options) {
    super();
    this.element = element;
    this.view = view;
    this.options = options;
    this.source = null;
    this.info = completed({});
    this.time = new TimeStore();
    this.selected = [];
    this.layers = new Set();
    this.events = [];
    this.overview = null;
    this.connection = { state: options.kind === "live" ? "connecting" : "up", text: "" };
    this.problems = new Map();
    this.panels = [];
    this.strips = [];
    this.staleNames = new Set();
    this._lit = null;
    this._heard = new Map();
    this._dirty = 0;
    this._frame = 0;
    this._heardAt = NaN;
    this._offs = [];
    this._ended = false;
    this._messages = 0;
    this.hook = new Hook(this);
  }

  // --- beginning and end ----------------------------------------------------------------------------------

  async begin(source) {
    this.source = source;
    this._build();
    const info = completed(await source.open());
    if (this._ended) return;
    this.book = new Book(source, {
      changed: () => this._dataChanged(),
      note: (noticed) => this._noticed(noticed),
      problem: (key, error, count) => this.problem(key, error, count),
      isWorld: info.kind === "run",
    });
    this.exact = new Exact(this);
    this._setInfo(info, true);
    this._startTime();
    fromAddress(this, location.search);
    this._makeStrips();
    this._offs.push(this.time.on(() => this._timeChanged()));
    this._offs.push(bindKeys(this), bindPointer(this));
    this._offs.push(source.subscribe((message) => this._message(message)));
    this._tick = setInterval(() => this._onTick(), TICK_MS);
    this._timeChanged();
    this._fetch();
    this.emit("info");
    this.invalidate(ALL);
  }

  destroy() {
    this._ended = true;
    cancelAnimationFrame(this._frame);
    clearInterval(this._tick);
    clearTimeout(this._urlTimer);
    clearTimeout(this._wantTimer);
    for (const off of this._offs) off?.();
    for (const panel of this.panels) quietly(() => panel.destroy?.());
    this.side?.destroy();
    this.exact?.close();
    this.book?.close();
    this.theme?.destroy();
    this._resize?.disconnect();
    quietly(() => this.source?.close());
    this.hook.end();
    this._heard.clear();
  }

  _build() {
    const { element } = this;
    this.headCanvas = el("canvas", { class: "stage-head-canvas", role: "img", "aria-label": "Time axis, phases, faults, links and events" });
    this.headNames = el("div", { class: "stage-head-names", "aria-hidden": "true" });
    this.head = el("div", { class: "stage-head" }, this.headNames, this.headCanvas);
    this.canvas = el("canvas", { class: "stage-canvas", role: "img", "aria-label": "Strips" });
    this.cursors = {};
    for (const name of ["between", "t", "t2", "hover"]) this.cursors[name] = el("div", { class: `stage-cursor stage-cursor-${name}`, hidden: true });
    this.plot = el("div", { class: "stage-plot" }, ...Object.values(this.cursors));
    this.hold = el("div", { class: "stage-hold" }, this.canvas, this.plot);
    this.list = el("ul", { class: "stage-rows", "aria-label": "Signals" });
    this.scroll = el("div", { class: "stage-scroll", tabindex: "0", role: "group", "aria-label": "Strips; arrow keys move the cursor, ? shows all keys" }, this.hold, this.list);
    this.scrubCanvas = el("canvas", {
      class: "stage-scrub", tabindex: "0", role: "slider", "aria-label": "Place in the recording",
      "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0",
    });
    this.problemBox = el("div", { class: "stage-problems", role: "status" });
    this.say = el("div", { class: "visually-hidden", "aria-live": "polite" });
    this.empty = el("p", { class: "stage-empty", hidden: true });
    this.tip = el("div", { class: "stage-tip", hidden: true, "aria-hidden": "true" });
    this.toolbar = new Toolbar(this);
    this.side = new Side(this);
    const main = el("div", { class: "stage-main" }, this.head, this.scroll, this.empty, this.scrubCanvas);
    element.classList.add("stage");
    element.replaceChildren(this.toolbar.element, this.problemBox, el("div", { class: "stage-body" }, main, this.side.element), this.say, this.tip);
    this.main = main;
    this.rows = new Rows(this);
    this.theme = new Theme(element, () => this.invalidate(ALL));
    this._resize = new ResizeObserver(() => this.invalidate(ALL));
    for (const one of [element, this.scroll, this.head]) this._resize.observe(one);
    this.scroll.addEventListener("scroll", () => this.invalidate(STRIPS), { passive: true });
    const shown = () => { if (!document.hidden) this.invalidate(ALL); };
    document.addEventListener("visibilitychange", shown);
    this._offs.push(() => document.removeEventListener("visibilitychange", shown));
  }

  _setInfo(info, isFirst = false) {
    const known = new Set(info.signals.map((signal) => signal.name));
    // Signals that have come without having been announced stay.
    for (const signal of this.info.signals) if (signal.isHeard && !known.has(signal.name)) info.signals.push(signal);
    this.info = info;
    this.signalsByName = new Map(info.signals.map((signal) => [signal.name, signal]));
    if (this.book) this.book.signals = info.signals.length;
    if (isFirst || !this.isChosen) {
      const all = info.signals.filter((signal) => signal.default).map((signal) => signal.name);
      this.usual = (all.length ? all : info.signals.map((signal) => signal.name)).slice(0, MOST_DEFAULT);
      this.selected = this.usual;
    }
    if (isFirst) this.colours();
    this.allLimits = [...info.limits, ...info.signals.flatMap((signal) => signal.limits)]
      .filter((one, i, all) => all.findIndex((other) => other.id === one.id) === i);
    this._makeStrips();
  }

  /** A link has one colour, wherever its signals stand. */
  colours() {
    const groups = [...new Set(this.info.signals.map((signal) => signal.group))];
    this._colourOf = new Map(groups.map((group, i) => [group, i % 8]));
  }

  colourOf(name) {
    const group = this.signalsByName.get(name)?.group ?? "";
    if (!this._colourOf.has(group)) this._colourOf.set(group, this._colourOf.size % 8);
    return this.theme.series[this._colourOf.get(group)];
  }

  _startTime() {
    const { info, time } = this;
    if (info.live) {
      const now = Date.now() / 1000;
      const last = info.end_s ?? (info.kind === "live" ? now : info.start_s ?? now);
      const length = this.view.settings?.windowS || 60;
      time.live = true;
      this.usualAxis = time.axis = info.kind === "live" ? "wall" : "sim";
      time.set({ mode: "following", first_s: info.start_s ?? last, last_s: last, start: last - length, end: last, t: last });
      this.book.first_s = info.start_s ?? NaN;
      this.book.last_s = info.end_s ?? NaN;
    } else {
      this.usualAxis = time.axis = info.kind === "session" ? "wall" : "sim";
      let first = info.start_s ?? info.epoch_s ?? NaN, last = info.end_s ?? NaN;
      if (!(last > first)) last = first + 1;
      time.set({ mode: "replay", first_s: first, last_s: last, start: first, end: last, t: this.begun = this._beginning(first, last) });
      this.book.first_s = first;
      this.book.last_s = last;
    }
  }

  /** What comes before the first phase is nobody's aim. */
  _beginning(first_s, last_s) {
    const phase_s = Math.min(...this.info.phases.map((phase) => phase.start_s));
    return phase_s >= first_s && phase_s < last_s ? phase_s : first_s;
  }

  /** Zero of the axis that counts from the beginning, and of the address. */
  get epoch_s() {
    const { info } = this;
    if (info.kind === "live") return info.epoch_s ?? 0;
    return info.epoch_s ?? info.start_s ?? 0;
  }

  /** The address follows what is shown, not more often than browsers allow. */
  _urlSoon() {
    // Browsers refuse many changes of the address; and while it plays, it stands where it began.
    if (this._urlTimer || this.time.playing) return;
    this._urlTimer = setTimeout(() => {
      this._urlTimer = 0;
      const query = toAddress(this, location.search);
      if (!this._ended && query !== location.search) history.replaceState(history.state, "", location.pathname + query + location.hash);
    }, URL_MS);
  }

  // --- what others ask ------------------------------------------------------------------------------------

  on(name, fn) {
    if (!this._heard.has(name)) this._heard.set(name, new Set());
    this._heard.get(name).add(fn);
    return () => this._heard.get(name)?.delete(fn);
  }

  emit(name) { for (const fn of [...(this._heard.get(name) ?? [])]) quietly(() => fn(this)); }

  get hover() { return this._lit; }
  set hover(name) {
    if (name === this._lit) return;
    this._lit = name;
    this.emit("hover");
    this.invalidate(STRIPS | PANELS | READOUT);
  }

  data(name, layer = "") {
    const column = this.book?.column(name, layer, this.time.start, this.time.end) ?? EMPTY;
    return { ...column, from: lowerBound(column.t, this.time.start), to: lowerBound(column.t, this.time.end) };
  }

  valueAt(name, t = this.time.at, layer = "") {
    const exact = this.exact?.at(name, t, layer);
    if (exact) return { ...exact, exact: true };
    const column = this.book?.column(name, layer, t, t) ?? EMPTY;
    const place = placeAt(column, t);
    if (place < 0) return null;
    return { t: column.t[place], v: column.v[place], s: column.s ? column.s[place] : 0, exact: column.raw !== false && column.raw !== undefined };
  }

  /** Numbers between the cursors, or null without two. */
  betweenCursors(name, layer = "") {
    const { t, t2 } = this.time;
    if (!(t === t) || !(t2 === t2) || t === t2) return null;
    const [from, to] = t < t2 ? [t, t2] : [t2, t];
    const column = this.book.column(name, layer, from, to);
    const found = between(column, from, to);
    const a = this.valueAt(name, from, layer), b = this.valueAt(name, to, layer);
    return { ...found, delta: (b?.v ?? NaN) - (a?.v ?? NaN), from, to, exact: Boolean(column.raw) };
  }

  isStale(name) {
    if (!this.info.live) return false;
    if (this.connection.state !== "up" || this.staleNames.has(name)) return true;
    const signal = this.signalsByName.get(name);
    // Figures of a run come as they are made, and are as old as what they are made of.
    if (signal?.derived) return false;
    const usual_s = this.book.step_s(name) / this.book.pace;
    return this.book.silence_s(name) > (signal?.stale_s ?? Math.max(SILENT_S, Math.min(usual_s * 3, 60)));
  }

  select(names) {
    const chosen = names.filter((name, i) => names.indexOf(name) === i);
    if (same(chosen, this.selected)) return;
    this.isChosen = true;
    this.selected = chosen;
    this.refresh();
  }

  toggleLayer(layer) {
    if (!this.layers.delete(layer)) this.layers.add(layer);
    this.refresh();
  }

  /** Layers that some signal has. */
  get layersThere() {
    const found = new Set(this.info.has.layers);
    for (const signal of this.info.signals) for (const layer of signal.layers) found.add(layer);
    return [...found];
  }

  addPanel(panel) {
    this.panels.push(panel);
    this.side.add(panel);
    this.invalidate(PANELS | LAYOUT);
    return () => {
      this.panels = this.panels.filter((one) => one !== panel);
      this.side.remove(panel);
      quietly(() => panel.destroy?.());
    };
  }

  /** Draw anew after layers were set from outside. */
  refresh() {
    this._makeStrips();
    this.emit("selected");
    this._urlSoon();
    this._fetch();
    this.invalidate(ALL);
  }

  /** A note at an instant: kept by the source where it can, else in this page. */
  async addMark(t, text) {
    const event = { t, kind: "note", severity: "info", text };
    if (this.source.mark) {
      try { await this.source.mark(t, text); this.problem("mark", null); }
      catch (error) { this.problem("mark", error); event.text += " (not kept)"; }
    } else event.text += " (in this page only)";
    this._addEvents([event]);
  }

  tell(words) { this.say.textContent = words; }

  /** Say what is missing; null: it is there again. */
  problem(key, error, count = 0) {
    if (error) this.problems.set(key, { error, count });
    else if (!this.problems.delete(key)) return;
    this.problemBox.replaceChildren(...[...this.problems.values()].map(({ error: what, count: many }) =>
      el("p", { class: "stage-problem" }, el("span", { "aria-hidden": "true" }, "⚠ "),
        many ? `${many} signal${many > 1 ? "s" : ""} cannot be read: ` : "", what.message ?? String(what), " It is tried again.")));
    this.invalidate(LAYOUT | STRIPS);
  }

  // --- strips ---------------------------------------------------------------------------------------------

  _makeStrips() {
    const before = new Map(this.strips.map((strip) => [strip.key, strip]));
    const strips = [];
    for (const name of this.selected) {
      const signal = this.signalsByName.get(name) ?? { name, label: name, unit: "", layers: [], limits: [], isUnknown: true };
      const there = signal.layers ?? [];
      const layers = ["truth", "wire"].filter((layer) => this.layers.has(layer) && there.includes(layer));
      layers.push("");
      if (this.layers.has("stored") && there.includes("stored")) layers.push("stored");
      strips.push({ key: name, name, what: "value", signal, layers, limits: limitsOf(this.info, name) });
      for (const what of ["error", "delay"]) {
        if (!this.layers.has(what) || !(there.includes(what) || there.includes("truth"))) continue;
        const unit = what === "delay" ? "ms" : signal.unit;
        strips.push({ key: `${name}:${what}`, name, what, signal: { ...signal, label: `${signal.label} ${what}`, unit }, layers: [what], limits: [] });
      }
    }
    for (const strip of strips) {
      const old = before.get(strip.key);
      strip.range = old?.range ?? null;
      strip.lines = [];
      strip.worst = worst(strip.limits);
    }
    this.strips = strips;
    this.rows?.build(strips);
  }

  // --- time -----------------------------------------------------------------------------------------------

  _timeChanged() {
    const { time } = this;
    if (time.mode !== "following") this._wantSoon();
    if (time.mode !== this._mode) {
      this._mode = time.mode;
      this.element.dataset.mode = time.mode;
      this.tell(time.mode);
      this.invalidate(LAYOUT);
    }
    if (!time.playing) this._urlSoon();
    if (time.mode === "following" && time.length_s > (this._filled_s ?? Infinity) * 1.02) {
      clearTimeout(this._fillTimer);
      this._fillTimer = setTimeout(() => { if (!this._ended) this._prefillNew(); }, 250);
    }
    const moved = time.start !== this._drawnStart || time.end !== this._drawnEnd;
    const second = time.t2 === time.t2 ? "" : null;
    if ((second === null) !== !("second" in this.element.dataset)) {
      if (second === null) delete this.element.dataset.second; else this.element.dataset.second = "";
      this.invalidate(LAYOUT);
    }
    this.emit("time");
    // While it follows, the overview moves by less than a pixel.
    const now = performance.now(), isSoon = time.mode === "following" && now - (this._scrubbed ?? -1e9) < SCRUB_MS;
    if (!isSoon) this._scrubbed = now;
    this.invalidate((moved ? STRIPS | HEAD : 0) | (isSoon ? 0 : SCRUB) | READOUT | PANELS);
  }

  _onTick() {
    if (!this.info.live) return;
    // Silence is noticed by the stage itself, whatever a source says.
    const silent_s = (performance.now() - this._heardAt) / 1000;
    if (this.connection.state === "up" && this.info.heartbeat_s && silent_s > Math.max(SILENT_S, this.info.heartbeat_s * 2)) {
      this._state({ connection: "down", text: "nothing heard" });
    }
    if (this._lastMoved && this.time.mode !== "following") {
      this._lastMoved = false;
      this.invalidate(SCRUB);
    }
    if (performance.now() - this._overAt > OVERVIEW_MS && !document.hidden) this._lookOver();
    const stale = this.strips.filter((strip) => this.isStale(strip.name)).map((strip) => strip.key).join();
    if (stale !== this._staleKey) { this._staleKey = stale; this.invalidate(STRIPS); }
    this.invalidate(READOUT);
  }

  /** To the next (1) or previous (-1) event, or the next failure. */
  jumpTo(step, isFailure = false) { return jumpTo(this, step, isFailure); }
}

function quietly(act) {
  try { act(); } catch (error) { console.warn("stage:", error); }
}
