// The live stream of a gateway, or of a replay that others watch too, as a source of the stage.

import { hubOf } from "../live/hub.js";
import { Source } from "../stage/source.js";
import { events, lastReadings, limitsOfRules, mainSignal, quietly, series, signalsOf, trackOf } from "./gateway.js";

const PATIENCE_MS = 3000;
const BACK_S = 3600;
const OVERVIEW_POINTS = 400;

export function open(view, options = {}) { return new LiveSource(view, options); }

/** Strips at the beginning: a few, those that tell most. */
const STRIPS = 6;
const FIRST = ["SPEED", "RPM", "COOLANT_TEMP", "ENGINE_LOAD", "THROTTLE_POS", "GPS_SPEED", "BATTERY_POWER", "BATTERY_LEVEL"];

function usual(signals) {
  const rank = ({ name }) => (FIRST.indexOf(name.slice(name.indexOf(":") + 1)) + 1) || FIRST.length + 1;
  const shown = signals.filter((signal) => signal.default).sort((a, b) => rank(a) - rank(b)).slice(0, STRIPS);
  for (const signal of signals) signal.default = shown.includes(signal);
  signals.sort((a, b) => rank(a) - rank(b)); // stable: others stay as they came
}

/** The hub of the live stream that parts without wishes of their own share. */
export function shared(view) { return hubOf(view).hub; }

/** options: {device?, vehicle?, replay?, session?}; see hubOf. */
export class LiveSource extends Source {
  kind = "live";

  constructor(view, options = {}, env = undefined) {
    super();
    this.view = view;
    this.options = options;
    this.held = hubOf(view, options, env);
    this.hub = this.held.hub;
    this.rules = [];
    this._off = [];
  }

  /** Info; of a gateway that is away without signals, which come with {type: "info"} when it is back. */
  async open() {
    const { env } = this.hub;
    let timer;
    const patience = new Promise((resolve) => { timer = env.setTimeout(resolve, PATIENCE_MS); });
    try {
      await Promise.race([this.hub.ready, patience]);
    } finally {
      env.clearTimeout(timer);
    }
    await this._askRules();
    return this.info();
  }

  async _askRules() {
    if (!this.hub.device || this.hub.replay) return;
    this.rules = (await quietly(this.view.api.get("/api/v1/alerts/rules")))?.rules ?? [];
  }

  info() {
    const { hub } = this;
    const names = [...hub.signals.values()];
    const signals = [];
    for (const slot of names) {
      const [signal] = signalsOf(hub.catalogue, [slot.short], hub.isMany ? `${slot.device}:` : "");
      signals.push(signal);
    }
    usual(signals);
    const now_s = hub.now_s();
    const { replay } = hub;
    return {
      id: hub.shown.join(","),
      title: this._title(),
      kind: "live",
      live: true,
      epoch_s: replay ? replay.start_ns / 1e9 : null,
      start_s: replay ? replay.start_ns / 1e9 : now_s - BACK_S,
      end_s: null,
      device: hub.device ?? undefined,
      vehicle: hub.devices.find((one) => one.id === hub.device)?.vin ?? undefined,
      has: { truth: false, wire: false, journey: false, track: this._hasTrack(), layers: [] },
      signals,
      limits: hub.isMany ? [] : limitsOfRules(this.rules, hub.device),
    };
  }

  _title() {
    const { hub } = this;
    const shown = hub.shown.map((id) => hub.devices.find((one) => one.id === id)?.name || id).join(", ");
    return hub.replay ? `Replay of ${shown}` : shown || "No device yet";
  }

  _hasTrack() {
    return [...this.hub.signals.values()].some((slot) => slot.short === "LAT");
  }

  /** Names by device: [[device, [short, …]], …]. */
  _byDevice(names) {
    const found = new Map();
    for (const name of names) {
      const [device, short] = this.hub.meant(name);
      if (!device || !this.hub.isKnown(short)) continue;
      if (!found.has(device)) found.set(device, []);
      found.get(device).push(short);
    }
    return [...found];
  }

  async series(names, start_s, end_s, points) {
    const made = new Map();
    await Promise.all(this._byDevice(names).map(async ([device, shorts]) => {
      const path = `/api/v1/devices/${device}/series`;
      const lines = await series(this.view.api, path, shorts, start_s, this._until(end_s), points);
      for (const [short, line] of lines) made.set(this.hub.nameOf(device, short), line);
    }));
    return made;
  }

  /** Of a replay nothing is shown before it was played. */
  _until(end_s) { return this.hub.replay ? Math.min(end_s, this.hub.now_s()) : end_s; }

  async at(names, t_s) {
    const made = new Map();
    await Promise.all(this._byDevice(names).map(async ([device, shorts]) => {
      const found = await lastReadings(this.view.api, `/api/v1/devices/${device}/series`, shorts, t_s);
      for (const [short, reading] of found) made.set(this.hub.nameOf(device, short), reading);
    }));
    return made;
  }

  async overview() {
    const name = mainSignal([...this.hub.signals.values()].map((slot) => slot.name));
    const end_s = this.hub.now_s(), start_s = this.info().start_s;
    if (name === null) return { start_s, end_s, series: null, marks: [] };
    const [lines, marks] = await Promise.all([
      quietly(this.series([name], start_s, end_s, OVERVIEW_POINTS)),
      this.events(start_s, end_s),
    ]);
    const line = lines?.get(name);
    return { start_s, end_s, series: line ? { t: line.t, v: line.v, name } : null, marks };
  }

  async track(start_s, end_s, points = 2000) {
    if (!this.hub.device || !this._hasTrack()) return null;
    const path = `/api/v1/devices/${this.hub.device}/series`;
    return trackOf(await series(this.view.api, path, ["LAT", "LON", "HDOP"], start_s, this._until(end_s), points));
  }

  async events(start_s, end_s) {
    if (!this.hub.device || this.hub.replay) return [];
    return events(this.view.api, this.hub.device, start_s, end_s);
  }

  subscribe(fn) {
    const off = this.hub.on((message) => {
      if (message.type === "notice") return;
      fn(message.type === "info" ? { type: "info", info: this._grown() } : message);
    });
    this._off.push(off);
    fn(this.hub.state);
    fn({ type: "stale", names: this.hub.staleNames });
    return off;
  }

  /** What of Info may have changed. */
  _grown() {
    const { id, title, device, vehicle, has, signals, limits } = this.info();
    return { id, title, device, vehicle, has, signals, limits };
  }

  close() {
    for (const off of this._off) off();
    this._off = [];
    this.held.release();
  }
}
