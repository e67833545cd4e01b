// A world for tests of what is live: a clock that is moved by hand, sockets without a net, an API of answers.

import { Hub } from "../../../../reports/view/assets/js/live/hub.js";

export class World {
  constructor() {
    this.ms = 1000;
    this.date_ms = 1.7e12;
    this.isHidden = false;
    this.timers = [];
    this.sockets = [];
    this.env = {
      now: () => this.ms,
      date: () => this.date_ms + this.ms,
      random: () => 0.5,
      hidden: () => this.isHidden,
      setTimeout: (fn, ms) => { const timer = { fn, at: this.ms + ms }; this.timers.push(timer); return timer; },
      clearTimeout: (timer) => { this.timers = this.timers.filter((one) => one !== timer); },
    };
  }

  /** Let time pass, with what is due, and what was promised. */
  async pass(ms) {
    const end = this.ms + ms;
    await settle();
    for (;;) {
      const due = this.timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((one) => one !== due);
      this.ms = Math.max(this.ms, due.at);
      due.fn();
      await settle();
    }
    this.ms = end;
  }

  socket(path, query) {
    const socket = new FakeSocket(path, query);
    this.sockets.push(socket);
    return socket;
  }

  get last() { return this.sockets[this.sockets.length - 1]; }
}

export async function settle() { for (let i = 0; i < 20; i++) await Promise.resolve(); }

export class FakeSocket {
  constructor(path, query) {
    Object.assign(this, { path, query, readyState: 1, sent: [], isClosed: false });
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.isClosed = true; this.readyState = 3; }
  say(message) { this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) }); }
  end(code = 1006, reason = "") { this.readyState = 3; this.onclose?.({ code, reason }); }
}

export const HELLO = {
  type: "hello", boot: 5, device: "car-1", stream: "5", n: 10, server_now_ns: 1.7e18 + 50e9,
  policy: "latest", form: "rows", heartbeat_s: 0, signals: { 12: "RPM", 13: "SPEED", 1001: "LAT" },
};

export const CATALOGUE = [
  { id: 12, name: "RPM", unit: "rpm", resolution: 0.25, source: "obd:010C" },
  { id: 13, name: "SPEED", unit: "km/h", resolution: 1, source: "obd:010D" },
  { id: 1001, name: "LAT", unit: "°", resolution: 1e-7, source: "gps" },
  { id: 1002, name: "LON", unit: "°", resolution: 1e-7, source: "gps" },
];

/** An API of answers by path; a function is called with the query. What is not there is not found. */
export function apiOf(world, answers = {}) {
  const asked = [];
  const all = {
    "/api/v1/signals": { signals: CATALOGUE },
    "/api/v1/devices": { devices: [] },
    "/api/v1/telemetry/status": { device: "car-1" },
    "/api/v1/devices/car-1/latest": { latest: [] },
    "/api/v1/alerts/rules": { rules: [] },
    "/api/v1/auth/me": { role: "viewer" },
    ...answers,
  };
  return {
    asked,
    async get(path, query = {}) {
      asked.push([path, query]);
      let answer = all[path];
      if (typeof answer === "function") answer = answer(query);
      if (answer === undefined) throw Object.assign(new Error(`${path}: not found`), { status: 404, detail: `${path}: not found` });
      if (answer instanceof Error) throw answer;
      return answer;
    },
    async socket(path, query) { return world.socket(path, query); },
  };
}

/** A hub that has been greeted, what it told, and its socket. */
export async function greeted(world, { wanted = {}, answers = {}, settings } = {}) {
  const view = { api: apiOf(world, answers), settings };
  const hub = new Hub(view, { device: [], vehicle: [], session: null, replay: null, ...wanted }, world.env);
  const told = [];
  hub.on((message) => told.push(message));
  hub.start();
  await world.pass(1);
  world.last.say(HELLO);
  return { hub, told, view, socket: world.last };
}

export function rows(...readings) {
  const last = readings[readings.length - 1];
  return { type: "readings", n: 10 + last[0], device: "car-1", boot: 5, readings };
}
