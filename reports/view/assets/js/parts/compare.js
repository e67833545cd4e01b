// Two recordings, one over the other: aligned on the drive's time, an event or the way; with their difference.
//
//   /compare?a=run:ID&b=session:7&align=time|distance|event&event=…&sig=RPM,SPEED&x=120,180

import { Metres, Seconds, driveStart, landmarks, speedOf } from "../compare/align.js";
import { Bar, SignalChoice, recordings } from "../compare/choice.js";
import { difference, placed } from "../compare/difference.js";
import { signalDivergence, traceDivergence } from "../compare/divergence.js";
import { compareFigure } from "../compare/figure.js";
import { differencesTable, limitsTable } from "../compare/tables.js";
import { completed, limitsOf } from "../stage/source.js";
import { Theme } from "../stage/theme.js";
import { el, errorBox } from "../words.js";

const POINTS = 3000, SPEED_POINTS = 20_000, MOST_SIGNALS = 8, FIRST_SIGNALS = 4;
const AROUND = { s: 10, m: 200 };
const FINER_MS = 250, LOOK_MS = 100, LOOKS = 200;
/** Places in the page that pages/compare.py has made; the first two are Dash's. */
const FIGURES = "compare-figures", GRAPH = "compare-graph", TABLES = "compare-tables";
const KIND = /^(run|session):([A-Za-z0-9][A-Za-z0-9._-]{0,200})$/;
const NONE = { t: new Float64Array(0), v: new Float64Array(0) };

export async function mount(element, options, view) {
  const compare = new Compare(element, options, view);
  await compare.begin();
  return { unmount: () => compare.end(), compare };
}

class Compare {
  constructor(element, options, view) {
    Object.assign(this, { element, view });
    const asked = new URLSearchParams(location.search);
    const list = (name) => asked.get(name)?.split(",").filter(Boolean) ?? null;
    this.wanted = {
      a: asked.get("a") ?? options.a ?? "", b: asked.get("b") ?? options.b ?? "",
      align: ["event", "distance"].find((one) => one === asked.get("align")) ?? "time", event: asked.get("event") ?? "", sig: list("sig"),
    };
    const range = list("x")?.map(Number);
    this.range = range?.length === 2 && range[0] < range[1] ? range : null;
    this.sides = {};
    this.round = this.asking = 0;
    this.trace = { text: "", at: NaN, rows: null };
    this.theme = new Theme(element, () => this._draw());
  }

  async begin() {
    this.bar = new Bar((changes) => this._set(changes));
    this.bar.swap.addEventListener("click", () => this._set({ a: this.wanted.b, b: this.wanted.a }));
    this.choice = new SignalChoice(MOST_SIGNALS, (names) => this._set({ sig: names }, this.range));
    this.status = el("p", { class: "hint", role: "status" });
    this.problems = el("div", {});
    this.found = el("div", { class: "compare-found" });
    this.element.classList.add("compare");
    this.element.replaceChildren(this.bar.element, this.problems, this.choice.element, this.found, this.status);
    this.bar.show(this.wanted);
    this.bar.fill(await recordings(this.view, (error) => this._problem(error)), this.wanted);
    if (this.round === 0) await this._load();
  }

  end() {
    this.round = this.asking = -1;
    clearTimeout(this.finer);
    clearTimeout(this.looking);
    this.theme.destroy();
    for (const side of Object.values(this.sides)) side?.source?.close();
    document.getElementById(TABLES)?.replaceChildren();
  }

  _set(changes, range = null) {
    Object.assign(this.wanted, changes);
    this.range = range;
    this._toUrl();
    this._load();
  }

  _toUrl() {
    const { a, b, align, event, sig } = this.wanted, query = new URLSearchParams();
    const shown = { a, b, align: align === "time" ? "" : align, event: align === "event" ? event : "", sig: sig?.join(",") ?? "", x: this.range?.map((x) => x.toFixed(3)).join(",") ?? "" };
    for (const [key, value] of Object.entries(shown)) if (value) query.set(key, value);
    const text = String(query).replaceAll("%3A", ":").replaceAll("%2C", ",");
    history.replaceState(history.state, "", `${location.pathname}?${text}`);
  }

  async _load() {
    const round = ++this.round;
    this.bar.show(this.wanted);
    this.problems.replaceChildren();
    if (!this.wanted.a || !this.wanted.b) {
      this._clear();
      this.status.textContent = "Choose two recordings to lay one over the other.";
      return;
    }
    this.status.textContent = "Reading…";
    try {
      const [a, b] = await Promise.all([this._side("a"), this._side("b")]);
      if (round !== this.round) return;
      this.problems.replaceChildren(...[["first", a], ["second", b]].filter(([, side]) => side.info.damaged)
        .map(([words, { info }]) => el("p", { class: "warn compare-damaged" }, `⚠ The ${words} is damaged: ${info.damaged}. What can be read is compared.`)));
      this._chooseSignals(a.info, b.info);
      await this._axes(a, b);
      if (round !== this.round) return;
      this.trace = { text: "", at: NaN, rows: null };
      await this._series();
      const trace = await traceDivergence(this.view.api, a, b);
      if (round !== this.round) return;
      this.trace = trace;
      this._sayDivergence();
      if (Number.isFinite(trace.at)) this._draw();
    } catch (error) {
      if (round !== this.round) return;
      this._clear();
      this._problem(error);
    }
  }

  /** One recording, open; it stays open while it is chosen. */
  async _side(key) {
    const id = this.wanted[key];
    if (this.sides[key]?.id === id) return this.sides[key];
    const match = KIND.exec(id);
    if (!match) throw new Error(`expected run:ID or session:ID, found ${id.slice(0, 80)}`);
    const [, kind, name] = match, { config } = this.view;
    if (kind === "run" && !config.runs) throw new Error(`${id}: there are no runs here; telerig view shows them`);
    if (kind === "session" && !config.gateway) throw new Error(`${id}: there is no gateway here; telerig view --gateway URL shows one`);
    const module = await import(`../sources/${kind}.js`);
    const source = await module.open(this.view, { [kind]: name, id: name });
    const info = completed(await source.open());
    const events = await source.events(info.start_s ?? -Infinity, info.end_s ?? Infinity).catch(() => []);
    if (this.round < 0) { source.close(); throw new Error("the page has gone"); }
    this.sides[key]?.source?.close();
    // Figures of a long run are made when they are first asked for; then they come.
    source.subscribe((message) => { if (message.type === "reload" && this.rows?.length) this._series().catch((error) => this._problem(error)); });
    return (this.sides[key] = { id, kind, name, source, info, marks: landmarks(info, events) });
  }

  _chooseSignals(a, b) {
    const there = new Set(b.signals.map((signal) => signal.name));
    this.common = a.signals.filter((signal) => there.has(signal.name));
    if (!this.common.length) throw new Error(`${a.title} and ${b.title} have no signal in common: there is nothing to compare`);
    const known = new Set(this.common.map((signal) => signal.name));
    const asked = this.wanted.sig?.filter((name) => known.has(name)) ?? [];
    const usual = this.common.filter((signal) => signal.default).map((signal) => signal.name);
    this.chosen = (asked.length ? asked : (usual.length ? usual : [...known]).slice(0, FIRST_SIGNALS)).slice(0, MOST_SIGNALS);
    this.choice.show(this.common, this.chosen);
  }

  async _axes(a, b) {
    const { align } = this.wanted;
    if (align === "event") {
      const names = [...a.marks.keys()].filter((name) => b.marks.has(name));
      if (!names.length) throw new Error("they have no event in common: align them on time or distance");
      if (!names.includes(this.wanted.event)) this.wanted.event = names[0];
      this.bar.events(names, this.wanted.event);
      for (const side of [a, b]) side.axis = new Seconds(side.marks.get(this.wanted.event));
    } else if (align === "distance") {
      for (const side of [a, b]) side.axis = await metresOf(side);
    } else {
      for (const side of [a, b]) side.axis = new Seconds(driveStart(side.info));
    }
  }

  /** Lines of both over what is shown, and their differences. */
  async _series() {
    const asking = ++this.asking, { a, b } = this.sides;
    const [left, right] = await Promise.all([a, b].map((side) => {
      const [from, to] = this.range ? this.range.map((x) => side.axis.t(x)) : [side.info.start_s, side.info.end_s];
      return side.source.series(this.chosen, from, to, POINTS);
    }));
    if (asking !== this.asking) return;
    const isThin = [...left.values(), ...right.values()].some((column) => column.raw === false);
    this.rows = this.chosen.map((name) => this._row(name, left.get(name) ?? NONE, right.get(name) ?? NONE));
    this._draw();
    document.getElementById(TABLES)?.replaceChildren(...[differencesTable(this.rows, a.axis.unit), limitsTable(a.info.limits, b.info.limits)].filter(Boolean));
    this.status.textContent = isThin ? "More readings than can be drawn: extremes are shown. Look at less of it for every reading." : "";
    this._sayDivergence();
    this._toUrl();
  }

  _row(name, first, second) {
    const { a, b } = this.sides, signal = this.common.find((one) => one.name === name);
    const one = placed(first, a.axis), other = placed(second, b.axis), wraps = /HEADING|COURSE/i.test(name) ? 360 : null;
    return {
      name: signal.label, unit: signal.unit, resolution: signal.resolution, a: one, b: other, d: difference(one, other, wraps),
      limits: [limitsOf(a.info, name), limitsOf(b.info, name)],
    };
  }

  _draw() {
    if (!this.rows?.length || !this.sides.a || !this.sides.b) return;
    const { a, b } = this.sides, style = getComputedStyle(this.element);
    const words = { time: "seconds of the drive", event: `seconds from ${this.wanted.event}`, distance: "metres driven" }[this.wanted.align];
    const figure = compareFigure(this.rows, { axisWords: words, range: this.range, names: [`first: ${a.info.title}`, `second: ${b.info.title}`], mark: this.trace.at, theme: coloursOf(style) });
    // Not new children: they would be another graph, without what listens to this one.
    const { set_props: set } = window.dash_clientside;
    set(FIGURES, { hidden: false });
    set(GRAPH, { figure, style: { height: `${figure.layout.height}px` } });
    clearTimeout(this.looking);
    this._listen(LOOKS);
  }

  /** A part that is looked at more closely comes with more readings. */
  _listen(left) {
    const graph = document.querySelector(`#${GRAPH} .js-plotly-plot`);
    if (!graph?.on) { if (left) this.looking = setTimeout(() => this._listen(left - 1), LOOK_MS); return; }
    if (this.heard === graph) return;
    this.heard = graph;
    graph.on("plotly_relayout", (change) => {
      const range = change["xaxis.range[0]"] !== undefined ? [Number(change["xaxis.range[0]"]), Number(change["xaxis.range[1]"])] : change["xaxis.range"] ?? (change["xaxis.autorange"] ? null : undefined);
      if (range === undefined || this.round < 0) return;
      clearTimeout(this.finer);
      this.finer = setTimeout(() => this._lookAt(range), FINER_MS);
    });
  }

  _lookAt(range) {
    this.range = range;
    this._series().catch((error) => this._problem(error));
  }

  /** Where the traces part, and the first signal that is shown; ways to look there. */
  _sayDivergence() {
    const { a, b } = this.sides, { trace } = this, shown = signalDivergence(this.rows, a.axis.unit, Boolean(this.range));
    const jump = (at, words) => el("button", { type: "button", onclick: () => this._lookAt([at - AROUND[a.axis.unit] / 2, at + AROUND[a.axis.unit]]) }, words);
    const at = Number.isFinite(trace.at) ? trace.at : shown.at;
    this.found.replaceChildren(
      trace.text ? el("p", { class: "compare-trace" }, trace.text) : "", el("p", {}, shown.text),
      el("p", { class: "compare-ways" },
        Number.isFinite(trace.at) ? jump(trace.at, "Jump to where the traces part") : "",
        Number.isFinite(shown.at) ? jump(shown.at, "Jump to the first difference") : "",
        this.range ? el("button", { type: "button", onclick: () => this._lookAt(null) }, "Show all") : "",
        ...(Number.isFinite(at) ? [["first", a], ["second", b]].map(([words, side]) => el("a", { href: addressOf(side, at) }, `Open the ${words} there`)) : [])),
      trace.rows ? el("details", {}, el("summary", {}, "The rows that differ"), ...["first", "second"].map((words, i) => el("p", {}, `${words} `, el("code", {}, trace.rows[i])))) : "");
  }

  _clear() {
    this.asking++;
    this.rows = [];
    this.status.textContent = "";
    this.found.replaceChildren();
    this.choice.show([], []);
    document.getElementById(TABLES)?.replaceChildren();
    window.dash_clientside?.set_props?.(FIGURES, { hidden: true });
  }

  _problem(error) {
    const text = error?.detail ?? error?.message ?? String(error);
    this.problems.replaceChildren(error?.name === "ApiError" ? errorBox(error, { view: this.view }) : el("div", { class: "error-box", role: "alert" }, el("strong", {}, "These cannot be compared"), el("p", {}, text)));
  }
}

async function metresOf(side) {
  const speed = speedOf(side.info);
  if (!speed) throw new Error(`${side.info.title} has no speed: align on time or an event`);
  const column = (await side.source.series([speed], side.info.start_s, side.info.end_s, SPEED_POINTS)).get(speed);
  if (!column?.t.length) throw new Error(`${side.info.title} has no readings of ${speed}: align on time or an event`);
  return new Metres(column);
}

function addressOf(side, x) {
  const t = (side.axis.t(x) - (side.info.epoch_s ?? side.info.start_s ?? 0)).toFixed(3);
  return `/${side.kind}/${encodeURIComponent(side.name)}?t=${t}&win=20`;
}

function coloursOf(style) {
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    paper: of("--paper"), ink: of("--ink"), soft: of("--soft"), grid: of("--grid"), rule: of("--rule"), bad: of("--bad"),
    fill: "rgba(128,128,128,.18)", series: [of("--series-1"), of("--series-2")],
  };
}
