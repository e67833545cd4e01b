// What a page knows of the gateway's live stream: one connection, however many parts look at it.

import { ApiError } from "../api.js";
import { alertEvent, quietly } from "../sources/gateway.js";
import { Connection, ENV } from "./connection.js";
import { Latencies } from "./latencies.js";

/** After the last part has gone, the next page may want it: so long it stays. */
const LINGER_MS = 2000;
const TELL_MS = 500;
/** A hole is filled from the store, once what fills it is committed. */
const FILL_MS = 1500;
const FILL_EVERY_MS = 10000;
/** The gateway's table of newest values is that late: what was just sent is in it then. */
const LATEST_MS = 6000;
/** Of so many devices not all can be listened to. */
const DEVICES_HEARD = 50;
const DEVICES_ASKED = 20;

const hubs = new Map();

/**
 * Give the page's hub for these options, connected; call `release()` of what comes when done.
 *
 * options: {device?: "car-1" or a list, vehicle?: VIN, session?: 7, replay?: 3}; nothing: the
 * gateway's own device, or the one that was heard last.
 */
export function hubOf(view, options = {}, env = ENV) {
  const wanted = wish(options);
  const key = JSON.stringify(wanted);
  let hub = hubs.get(key);
  if (!hub || hub.isClosed || hub.view.api !== view.api) {
    hub = new Hub(view, wanted, env);
    hubs.set(key, hub);
  }
  hub.users++;
  env.clearTimeout(hub.linger);
  let released = false;
  hub.start();
  return {
    hub,
    release() {
      if (released) return;
      released = true;
      if (--hub.users === 0) {
        hub.linger = env.setTimeout(() => {
          hubs.delete(key);
          hub.close();
        }, LINGER_MS);
      }
    },
  };
}

function list(value) {
  if (value === undefined || value === null || value === "") return [];
  return Array.isArray(value) ? value.map(String) : String(value).split(",").filter(Boolean);
}

function wish({ device, vehicle, session, replay }) {
  return {
    device: list(device), vehicle: list(vehicle),
    session: session ? Number(session) : null, replay: replay ? Number(replay) : null,
  };
}

export class Hub {
  constructor(view, wanted, env = ENV) {
    this.view = view;
    this.api = view.api;
    this.wanted = wanted;
    this.env = env;
    this.users = 0;
    this.isClosed = false;
    /** The gateway's own device, the registered ones, and those that are shown. */
    this.own = null;
    this.devices = [];
    this.shown = [];
    this.catalogue = [];
    this.hello = null;
    this.replay = null;
    /** Newest readings by name: {name, id, device, unit, t, v, state, count, seen_ms}. */
    this.signals = new Map();
    /** What came of each device: {count, t, seen_ms}. */
    this.heard = new Map();
    this.links = new Map();
    this._told = new Map();
    this.stale = new Map();
    this.store = { state: "ok", reason: "" };
    this.latencies = new Latencies();
    this._byId = new Map();
    this._slots = new Map();
    this._seqs = new Map();
    this._listeners = new Set();
    this._grew = false;
    this._prepared = false;
    this._filled_ms = -Infinity;
    this._hole = null;
    this._timers = new Set();
    this.ready = new Promise((resolve, reject) => { this._ready = { resolve, reject }; });
    this.ready.catch(() => {}); // whoever waits hears of it
    this.connection = new Connection({
      dial: () => this._dial(),
      open: (path, query) => this.api.socket(path, query),
      hear: (message) => this._hear(message),
      changed: (state) => this._changed(state),
      jumped: (seconds) => this._jumped(seconds),
      env,
    });
  }

  get clock() { return this.connection.clock; }
  get device() { return this.shown[0] ?? null; }
  get isMany() { return this.shown.length > 1; }
  get isStarted() { return this._started === true; }

  start() {
    if (this._started) return;
    this._started = true;
    this.connection.start();
    this._beat();
  }

  close() {
    this.isClosed = true;
    this.connection.close();
    for (const timer of this._timers) this.env.clearTimeout(timer);
    this._listeners.clear();
  }

  /**
   * Hear what comes: messages of the stage's sources (readings, event, state, stale, info, reload, end),
   * and {type: "notice", notice}: alerts, links, sessions, commands as the gateway tells them.
   */
  on(fn) {
    this._listeners.add(fn);
    return () => this._listeners.delete(fn);
  }

  _tell(message) {
    for (const fn of [...this._listeners]) fn(message);
  }

  _after(ms, fn) {
    const timer = this.env.setTimeout(() => {
      this._timers.delete(timer);
      if (!this.isClosed) fn();
    }, ms);
    this._timers.add(timer);
    return timer;
  }

  /** Now and then, however quiet it is: the state, and what has grown. */
  _beat() {
    if (this.connection.isUp) this._tell(this.state);
    if (this._grew) {
      this._grew = false;
      this._tell({ type: "info", info: {} });
    }
    this._after(TELL_MS, () => this._beat());
  }

  /** The connection as the stage is told it. */
  get state() {
    const { phase, reason } = this.connection.state;
    const connection = phase === "up" ? "up" : phase === "connecting" ? "connecting" : "down";
    return { type: "state", connection, text: reason, server_now_s: this.now_s() };
  }

  /** What time it is there; of a replay, the instant that is played. */
  now_s() {
    return this.replay ? this.replay.position_ns / 1e9 : this.clock.now_s();
  }

  // What is looked up before a stream is opened.

  async _dial() {
    if (!this._prepared) {
      await this._prepare();
      this._prepared = true;
      this._after(LATEST_MS, () => quietly(this.refresh()));
      this._ready.resolve(this);
      this._tell({ type: "info", info: {} });
    } else if (this.connection.state.attempts > 0) {
      await this._stillMay();
    }
    const { replay, session } = this.wanted;
    if (replay) {
      return { path: `/api/v1/replays/${replay}/stream`, query: { form: "rows", policy: "latest", resume: null } };
    }
    const query = { form: "rows", policy: "latest", heartbeat: 0 };
    if (session) query.session = session;
    else if (this.isFiltered) query.device = this.shown.join(",");
    return { path: "/api/v1/live", query };
  }

  /** A browser is not told why a WebSocket is refused: who has been signed out hears it here. */
  async _stillMay() {
    const me = await this.api.get("/api/v1/auth/me");
    if (me.role === "public") {
      this.view.state?.signedOut();
      throw new ApiError({ status: 401, title: "Signed out", detail: "the session has ended; sign in again" });
    }
  }

  /** Whether only what is shown is asked for: else all pages are one group for the gateway. */
  get isFiltered() {
    return this.wanted.device.length > 0 || this.wanted.vehicle.length > 0
      || this.devices.length > DEVICES_HEARD;
  }

  async _prepare() {
    const { api, wanted } = this;
    if (wanted.replay) {
      this.replay = await api.get(`/api/v1/replays/${wanted.replay}`);
    }
    const [signals, devices, status] = await Promise.all([
      api.get("/api/v1/signals"),
      api.get("/api/v1/devices"),
      quietly(api.get("/api/v1/telemetry/status")),
    ]);
    this._learn(signals.signals);
    this.devices = devices.devices;
    this.own = status?.device ?? null;
    this.shown = this.replay ? [this.replay.device] : await this._chosen();
    await this.refresh();
  }

  _learn(signals) {
    this.catalogue = signals;
    this._byId = new Map(signals.map((signal) => [signal.id, signal]));
    this._byName = new Map(signals.map((signal) => [signal.name, signal]));
  }

  async _chosen() {
    const { device, vehicle, session } = this.wanted;
    if (session) {
      this.session = await this.api.get(`/api/v1/sessions/${session}`);
      return [this.session.device];
    }
    if (device.length) return device;
    if (vehicle.length) {
      const found = this.devices.filter((one) => vehicle.includes(one.vin)).map((one) => one.id);
      if (found.length) return found;
      // The gateway's own device is in a vehicle, too, and in no list.
      return this.own ? [this.own] : [];
    }
    return this._heardLast();
  }

  /** The gateway's own device, if it has readings; else the one with the newest ones. */
  async _heardLast() {
    const others = this.devices.filter((one) => one.active && one.id !== this.own).slice(0, DEVICES_ASKED);
    const ids = [...(this.own ? [this.own] : []), ...others.map((one) => one.id)];
    const ages = await Promise.all(ids.map((id) => quietly(this.api.get(`/api/v1/devices/${id}/latest`))));
    const newest = ages.map((answer) => Math.max(-1, ...(answer?.latest ?? []).map((one) => one.time_ns)));
    if (newest.length === 0) return [];
    const preferred = ids.indexOf(this.view.settings?.device);
    if (preferred >= 0) return [ids[preferred]];
    if (this.own && newest[0] >= 0) return [this.own];
    return [ids[newest.indexOf(Math.max(...newest))]];
  }

  /** Ask for the newest reading of each signal that is shown. */
  async refresh() {
    const answers = await Promise.all(
      this.shown.map((device) => this.api.get(`/api/v1/devices/${device}/latest`)),
    );
    for (const { latest } of this.replay ? [] : answers) {
      for (const one of latest) {
        const slot = this._slot(one.device, one.id, one.signal);
        const t = one.time_ns / 1e9;
        if (t > slot.t) Object.assign(slot, { t, v: one.value ?? NaN, state: one.state });
      }
    }
  }

  /** Name of a signal on this page: with its device where there are several. */
  nameOf(device, short) { return this.isMany ? `${device}:${short}` : short; }

  /** What a name on this page means: [device, short name]. */
  meant(name) {
    if (!this.isMany) return [this.device, name];
    const place = name.indexOf(":");
    return [name.slice(0, place), name.slice(place + 1)];
  }

  /** Whether the gateway can be asked for a signal: one that is in no catalogue has no past here. */
  isKnown(short) { return this._byName?.has(short) ?? false; }

  _slot(device, id, given) {
    let slots = this._slots.get(device);
    if (!slots) this._slots.set(device, slots = new Map());
    let slot = slots.get(id);
    if (!slot) {
      const signal = this._byId.get(id);
      const short = signal?.name ?? given ?? this.hello?.signals?.[id] ?? String(id);
      slot = {
        name: this.nameOf(device, short), short, id, device, unit: signal?.unit ?? "",
        resolution: signal?.resolution ?? null, source: signal?.source ?? "",
        t: -Infinity, v: NaN, state: 0, count: 0, seen_ms: -Infinity, step_s: 0,
      };
      slots.set(id, slot);
      this.signals.set(slot.name, slot);
      this._grew = true;
    }
    return slot;
  }

  // What is heard.

  _hear(message) {
    switch (message.type) {
      case "readings": this._readings(message); break;
      case "hello": this._greeted(message); break;
      case "stale": this._staled(message); break;
      case "link": this._linked(message); break;
      case "store": this._stored(message); break;
      case "alert": this._event(alertEvent(message), message); break;
      case "session": this._event(sessionEvent(message), message); break;
      case "command": this._notice(message); break;
      case "gap": this._missed(message.start_ns === null ? null : message.start_ns / 1e9); break;
      case "dropped": this._missed(null); break;
      case "replay": this._played(message); break;
      case "log": case "error": this._notice(message); break;
      default: // "stored", and what a later gateway may say
    }
  }

  _notice(notice) { this._tell({ type: "notice", notice }); }

  _event(event, notice) {
    if (event) this._tell({ type: "event", event });
    this._notice(notice);
  }

  _greeted(message) {
    this.hello = message;
    if (message.replay) this.replay = message.replay;
    // What is not as it should be follows; what is not told is well.
    this.stale.clear();
    this.store = { state: "ok", reason: "" };
    this._tellStale();
    if (this.connection.isFirst) return;
    if (this.connection.isRestarted) this._relearn();
    else if (this.replay) this._missed(null);
  }

  async _relearn() {
    this._seqs.clear();
    const answer = await quietly(this.api.get("/api/v1/signals"));
    if (answer) this._learn(answer.signals);
    await quietly(this.refresh());
    this._grew = true;
  }

  _readings(message) {
    const { device, readings } = message;
    const now_ms = this.env.now();
    let heard = this.heard.get(device);
    if (!heard) this.heard.set(device, heard = { count: 0, t: -Infinity, seen_ms: now_ms });
    heard.count += readings.length;
    heard.seen_ms = now_ms;
    const newest = readings[readings.length - 1];
    const sent_s = newest[4] / 1e9;
    heard.t = Math.max(heard.t, newest[2] / 1e9);
    if (!this.shown.includes(device)) return;
    if (!this.replay) {
      if (this.clock.isKnown) this.latencies.add((this.clock.now_s() - sent_s) * 1e3);
      this._count(message);
    }
    const rows = new Array(readings.length);
    for (let i = 0; i < readings.length; i++) {
      const [, id, time_ns, value, , state] = readings[i];
      const slot = this._slot(device, id);
      const t = time_ns / 1e9, v = value === null ? NaN : value;
      if (t > slot.t && slot.count) slot.step_s += (Math.min(t - slot.t, 60) - slot.step_s) * (slot.count < 8 ? 0.5 : 0.05);
      if (t >= slot.t || this.replay) { slot.t = t; slot.v = v; slot.state = state; slot.seen_ms = now_ms; }
      slot.count++;
      rows[i] = [slot.name, t, v, state];
    }
    this._tell(this.replay ? { type: "readings", rows } : { type: "readings", rows, sent_s });
  }

  /** Numbers of readings that are missing were left out because this page was slow. */
  _count({ device, boot, readings }) {
    if (this.wanted.session) return;
    const key = `${device} ${boot}`, last = this._seqs.get(key);
    const first = readings[0][0];
    if (last !== undefined && first > last + 1) this._missed(readings[0][2] / 1e9 - 5);
    const newest = readings[readings.length - 1][0];
    if (last === undefined || newest > last) this._seqs.set(key, newest);
  }

  /** Something did not come: what is drawn is asked for again, from an instant on. */
  _missed(start_s) {
    const from_s = start_s ?? Math.min(...[...this.signals.values()].map((slot) => slot.t), this.now_s());
    if (this._hole !== null) {
      this._hole = Math.min(this._hole, from_s);
      return;
    }
    this._hole = from_s;
    const wait_ms = Math.max(FILL_MS, this._filled_ms + FILL_EVERY_MS - this.env.now());
    this._after(wait_ms, () => this._fill());
  }

  _fill() {
    const start_s = this._hole;
    this._hole = null;
    this._filled_ms = this.env.now();
    if (this.connection.isUp) this._tell({ type: "reload", start_s, end_s: this.now_s() });
  }

  _staled({ link, signals }) {
    if (signals.length) this.stale.set(link, new Set(signals));
    else this.stale.delete(link);
    this._tellStale();
  }

  /** Names on this page that the gateway misses. */
  get staleNames() {
    const names = [];
    if (!this.shown.includes(this.own)) return names;
    for (const ids of this.stale.values()) {
      for (const id of ids) {
        const short = this._byId.get(id)?.name ?? this.hello?.signals?.[id];
        if (short) names.push(this.nameOf(this.own, short));
      }
    }
    return names;
  }

  _tellStale() { this._tell({ type: "stale", names: this.staleNames }); }

  _linked(message) {
    this.links.set(message.name, message);
    const told = this._told.get(message.name);
    // A link that is down is tried again and again: that it is tried is no news.
    const isNews = message.state !== "connecting" && message.state !== told;
    if (isNews) this._told.set(message.name, message.state);
    const isShown = isNews && told !== undefined && this.shown.includes(this.own);
    this._event(isShown && linkEvent(message), message);
  }

  _stored(message) {
    this.store = message;
    const isWell = message.state === "ok";
    const text = isWell ? "Readings are stored again" : `Readings cannot be stored: ${message.reason}`;
    this._event({ t: message.time_ns / 1e9, kind: "link", severity: isWell ? "good" : "bad", text }, message);
  }

  _played(message) {
    const before = this.replay;
    this.replay = message;
    this._notice(message);
    this._tell(this.state);
    if (message.jump && before) this._tell({ type: "reload" });
    if (message.state === "ended") this._tell({ type: "end", end_s: message.end_ns / 1e9 });
  }

  _jumped(seconds) {
    const text = `The gateway's clock was set ${seconds > 0 ? "forward" : "back"} by ${Math.abs(seconds).toFixed(1)} s`;
    this._tell({ type: "event", event: { t: this.now_s(), kind: "note", severity: "warn", text } });
  }

  _changed(state) {
    if (state.phase === "denied" && !this._prepared) {
      this._ready.reject(this.connection.error);
      this.ready = new Promise((resolve, reject) => { this._ready = { resolve, reject }; });
      this.ready.catch(() => {});
    }
    // The header tells how the connection is, on every page.
    if (state.phase === "up") this.view.state?.setConnection("up");
    else if (state.phase === "silent" || state.phase === "waiting") this.view.state?.setConnection("away");
    this._tell(this.state);
    if (state.phase === "ended") this._tell({ type: "end" });
  }
}

const LINK_SEVERITY = { up: "good", down: "bad", degraded: "warn", connecting: "info" };

function linkEvent(message) {
  return {
    t: message.time_ns / 1e9, kind: "link", severity: LINK_SEVERITY[message.state] ?? "info",
    text: `Link ${message.name} is ${message.state}${message.reason ? `: ${message.reason}` : ""}`,
    link: message.name,
  };
}

function sessionEvent(message) {
  const name = message.name || `Session ${message.id}`;
  const words = { running: "started", ended: "ended" }[message.state];
  if (!words) return null;
  return { t: message.time_ns / 1e9, kind: "session", severity: "info", text: `${name} ${words}` };
}
