// A run's record as a source of the stage: finished, or growing while somebody drives it.
//
//   open(view, {id: "20260501T…-cruise-2"}) -> RunSource
//
// Columns are asked for once per window; the server leaves out what a screen cannot show. A growing
// run speaks over a WebSocket; when that breaks, it is opened again, and the stage asks anew for
// what may have been missed.

import { Source } from "../stage/source.js";

const PATH = "/api/runs/";
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const OVERVIEW_POINTS = 800;
const FROM_START = -9007199254740991n;
const TO_END = 9223372036854775807n;

/** Make the source of one run. */
export function open(view, options = {}) {
  return new RunSource(view.api, options.id ?? options.run ?? "", options.layers);
}

export class RunSource extends Source {
  kind = "run";
  /** at() knows every layer. */
  hasLayersAt = true;

  /** @param layers which tellings of a growing run are heard */
  constructor(api, id, layers = "reported,truth,wire") {
    super();
    this.api = api;
    this.id = id;
    this.layers = layers;
    this.info = null;
    this.listeners = new Set();
    this.socket = null;
    this.closed = false;
    this.ended = false;
    this.retryMs = FIRST_RETRY_MS;
  }

  path(rest = "") {
    return `${PATH}${encodeURIComponent(this.id)}${rest}`;
  }

  async open() {
    this.info = await this.api.get(this.path());
    if (this.info.live) this._follow();
    return this.info;
  }

  async series(names, start_s, end_s, points, layer) {
    const found = new Map();
    if (!names.length) return found;
    const answer = await this.api.get(this.path("/series"), {
      signal: names,
      layer: layer || undefined,
      start_ns: nanoseconds(start_s, FROM_START),
      end_ns: nanoseconds(end_s, TO_END),
      points: points ? Math.max(2, Math.min(20000, Math.round(points))) : undefined,
      wait: 0,
    });
    for (const line of answer.series) found.set(line.signal, columnOf(line));
    const pending = answer.series.find((line) => line.pending);
    if (pending) this._await(pending);
    return found;
  }

  /** Figures of a long run take some seconds the first time: show the rest, and ask again then. */
  _await(line) {
    this.waiting ??= this.api
      .get(this.path("/series"), { signal: line.signal, layer: line.layer === "figure" ? undefined : line.layer, points: 2 })
      .then(() => this._tell({ type: "reload" }))
      .catch(() => {}) // the stage's next question is told why
      .finally(() => (this.waiting = null));
  }

  async overview() {
    if (!this.info) await this.open();
    const { start_s, end_s, signals } = this.info;
    const chosen = overviewSignal(signals);
    const columns = chosen ? await this.series([chosen], start_s, end_s ?? Infinity, OVERVIEW_POINTS) : new Map();
    const column = columns.get(chosen);
    return {
      start_s, end_s,
      series: column && column.t.length ? { t: column.t, v: column.v, name: chosen, gaps: column.gaps } : null,
      marks: marksOf(this.info),
    };
  }

  async track(start_s, end_s, points) {
    const answer = await this.api.get(this.path("/track"), {
      start_ns: nanoseconds(start_s, FROM_START),
      end_ns: nanoseconds(end_s, TO_END),
      points,
    });
    const found = {};
    for (const layer of ["reported", "truth"]) {
      const line = answer[layer];
      if (line) {
        found[layer] = { t: seconds(line.times_ns), lat: Float64Array.from(line.lat), lon: Float64Array.from(line.lon) };
      }
    }
    return found.reported || found.truth ? found : null;
  }

  async events(start_s, end_s) {
    const answer = await this.api.get(this.path("/events"), {
      start_ns: nanoseconds(start_s, FROM_START),
      end_ns: nanoseconds(end_s, TO_END),
    });
    return answer.events;
  }

  /** The last reading of each up to an instant, as it was recorded: two points and their neighbours are never thinned. */
  async at(names, t_s, layer) {
    const found = new Map();
    for (const [name, { t, v, s }] of await this.series(names, t_s, t_s, 4, layer)) {
      let place = t.length - 1;
      while (place >= 0 && t[place] > t_s) place--;
      if (place >= 0) found.set(name, { t: t[place], v: v[place], s: s ? s[place] : 0 });
    }
    return found;
  }

  /** Keep a note at an instant, for all who look at the run. */
  mark(t_s, text) {
    // The API wants a number; the last digits of ns are below what a cursor can mean.
    return this.api.post(this.path("/marks"), { time_ns: Number(nanoseconds(t_s, 0n)), text });
  }

  /** The bytes of every link around an instant, decoded. */
  wire(t_s, { within_ms = 50, links = [] } = {}) {
    return this.api.get(this.path("/wire"), { at_ns: nanoseconds(t_s, 0n), within_ms, link: links });
  }

  /** The way of the reading of a signal that was measured nearest to an instant. */
  journey(name, t_s) {
    return this.api.get(this.path("/journey"), { signal: name, at_ns: nanoseconds(t_s, 0n) });
  }

  statistics(start_s, end_s) {
    return this.api.get(this.path("/statistics"), {
      start_ns: nanoseconds(start_s, FROM_START),
      end_ns: nanoseconds(end_s, TO_END),
    });
  }

  /** End the run; only where this server has started it. */
  stop() {
    return this.api.post(this.path("/stop"), {});
  }

  subscribe(fn) {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.listeners.clear();
    this.socket?.close();
    this.socket = null;
  }

  _tell(message) {
    for (const fn of [...this.listeners]) fn(message);
  }

  async _follow() {
    if (this.closed) return;
    let socket;
    try {
      socket = await this.api.socket(this.path("/live"), { layers: this.layers });
    } catch {
      this._again();
      return;
    }
    if (this.closed) {
      socket.close();
      return;
    }
    this.socket = socket;
    socket.onmessage = (event) => this._heard(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket === socket) this.socket = null;
      this._again();
    };
  }

  _again() {
    if (this.closed || this.ended || !this.info?.live) return;
    this._tell({ type: "state", connection: "connecting", text: "telerig view does not answer" });
    this.missed = true;
    this.timer = setTimeout(() => this._follow(), this.retryMs);
    this.retryMs = Math.min(LAST_RETRY_MS, 2 * this.retryMs);
  }

  _heard(message) {
    this.retryMs = FIRST_RETRY_MS;
    if (this.missed) {
      this.missed = false;
      this._tell({ type: "reload" });
    }
    if (message.type === "limits") {
      const { limits, faults, end_s } = message;
      Object.assign(this.info, { limits, faults, end_s });
      for (const signal of this.info.signals) {
        if (signal.derived) signal.limits = limits.filter((limit) => limit.signal === signal.name);
      }
      this._tell({ type: "info", info: { limits, faults, end_s, signals: this.info.signals } });
      return;
    }
    if (message.type === "begin") {
      this._refresh();
      return;
    }
    if (message.type === "readings" && message.layer === "reported") {
      this._newNames(message.rows);
      // Of a run that goes on the strips show what is reported: that is their usual layer.
      message = { ...message, layer: "" };
    }
    if (message.type === "end") {
      this.ended = true;
      this._refresh().finally(() => this._tell(message));
      return;
    }
    this._tell(message);
  }

  /** A signal that comes for the first time is no part of the Info yet. */
  _newNames(rows) {
    this.names ??= new Set(this.info.signals.map((signal) => signal.name));
    const before = this.names.size;
    for (const row of rows) this.names.add(row[0]);
    if (this.names.size > before) this._refresh();
  }

  async _refresh() {
    if (this.refreshing) return this.refreshing;
    this.refreshing = this.api.get(this.path())
      .then((info) => {
        this.info = info;
        this.names = null;
        this._tell({ type: "info", info });
        this._tell({ type: "reload" });
      })
      .catch(() => {})
      .finally(() => (this.refreshing = null));
    return this.refreshing;
  }
}

/** Unix seconds as nanoseconds in text: a number of JavaScript would lose the last digits. */
export function nanoseconds(t_s, otherwise) {
  if (t_s === undefined || t_s === null || !Number.isFinite(t_s)) return String(otherwise);
  const whole = Math.floor(t_s);
  return String(BigInt(whole) * 1000000000n + BigInt(Math.round((t_s - whole) * 1e9)));
}

/** A line of the API as a column of the stage. */
export function columnOf(line) {
  const v = new Float64Array(line.values.length);
  for (let i = 0; i < v.length; i++) v[i] = line.values[i] ?? NaN;
  const column = { t: seconds(line.times_ns), v, count: line.count, raw: Boolean(line.raw) };
  if (line.states?.length) column.s = Uint8Array.from(line.states);
  if (line.gaps_ns?.length) column.gaps = line.gaps_ns.map(([from, to]) => [from / 1e9, to / 1e9]);
  return column;
}

/** The series that gives the scrubber its line: speed, if there is one. */
export function overviewSignal(signals) {
  const plain = signals.filter((signal) => !signal.derived);
  const named = (name) => plain.find((signal) => signal.name.split(":").pop() === name)?.name;
  return named("SPEED") ?? named("VehicleSpeed") ?? named("GPS_SPEED") ?? plain.find((s) => s.default)?.name ?? plain[0]?.name ?? null;
}

/** Ticks of the scrubber: faults, and the windows of limits in the colour of their outcome. */
export function marksOf(info) {
  const marks = (info.faults ?? []).map((fault) => ({
    t: fault.start_s, end: fault.end_s, kind: "fault", severity: "warn", text: fault.text,
  }));
  for (const limit of info.limits ?? []) {
    if (limit.outcome === "fail" || limit.outcome === "unset") {
      marks.push({ t: limit.start_s, end: limit.end_s, kind: "limit", severity: "bad", text: limit.text });
    }
  }
  return marks;
}

function seconds(times_ns) {
  const t = new Float64Array(times_ns.length);
  for (let i = 0; i < t.length; i++) t[i] = times_ns[i] / 1e9;
  return t;
}
