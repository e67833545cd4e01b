// One WebSocket to a stream of the gateway: comes back by itself, and knows soon when nobody is there.

import { Clock } from "./clock.js";

/** Whatever comes is a sign of life; after so long without one, one is asked for. */
const QUIET_MS = 350;
/** So long without an answer, and the page is grey. */
const SILENT_MS = 850;
/** So long, and the connection is made anew. */
const DEAD_MS = 5000;
const WATCH_MS = 150;
const CLOCK_MS = 10000, FIRST_CLOCK_MS = 250;
/** A page that nobody sees asks seldom. */
const HIDDEN_QUIET_MS = 10000;
const HIDDEN_DEAD_MS = 40000;
const WAITS_MS = [300, 700, 1500, 3000, 6000, 10000];
const OPENING_MS = 8000;

/** What the world gives; tests bring their own. */
export const ENV = {
  now: () => performance.now(),
  date: () => Date.now(),
  random: () => Math.random(),
  hidden: () => globalThis.document?.hidden ?? false,
  setTimeout: (fn, ms) => setTimeout(fn, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/**
 * The connection.
 *
 * @param dial async () -> {path, query}; what to open; throws (ApiError) where that cannot be known
 * @param open async (path, query) -> WebSocket
 * @param hear (message) => void; each message but pongs and heartbeats
 * @param changed (state) => void
 *
 * state: {phase: "connecting"|"up"|"silent"|"waiting"|"denied"|"ended", reason, since_ms, retry_ms,
 *         attempts}; `retry_ms`: when the next attempt is made, by env.now().
 */
export class Connection {
  constructor({ dial, open, hear, changed = () => {}, jumped = () => {}, env = ENV }) {
    Object.assign(this, { _dial: dial, _open: open, _hear: hear, _changed: changed, _jumped: jumped });
    this._env = env;
    this.clock = new Clock(env.now, env.date);
    this.state = { phase: "connecting", reason: "", since_ms: env.now(), retry_ms: NaN, attempts: 0 };
    this.stream = null;
    this.n = null;
    this._socket = null;
    this._greeted = false;
    this._heard_ms = -Infinity;
    this._asked_ms = NaN;
    this._clocked_ms = -Infinity;
    this._watched_ms = NaN;
    this._watch = null;
    this._retry = null;
    this._turn = 0;
    this._closed = false;
  }

  get isUp() { return this.state.phase === "up"; }

  /** Connect, and stay connected until `close`. */
  start() {
    if (this._watch === null && !this._closed) {
      this._tick();
      this._attempt();
    }
    return this;
  }

  /** Do not wait for the next attempt; where it is up, do nothing. */
  retryNow() {
    if (this._closed || this.state.phase === "up") return;
    this._drop();
    this._set("connecting", "", { attempts: 0 });
    this._attempt();
  }

  close() {
    this._closed = true;
    this._env.clearTimeout(this._watch);
    this._drop();
  }

  /** Say something to the gateway; false where nobody is there. */
  say(message) {
    if (this._socket === null || this._socket.readyState !== 1) return false;
    this._socket.send(JSON.stringify(message));
    return true;
  }

  _set(phase, reason = "", more = {}) {
    const state = { ...this.state, retry_ms: NaN, ...more, phase, reason };
    if (phase !== this.state.phase) state.since_ms = this._env.now();
    this.state = state;
    this._changed(state);
  }

  _drop() {
    this._turn++;
    this._env.clearTimeout(this._retry);
    const socket = this._socket;
    this._socket = null;
    this._greeted = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      try { socket.close(1000); } catch { /* it never was open */ }
    }
  }

  async _attempt() {
    const turn = ++this._turn;
    const began_ms = this._env.now();
    try {
      const { path, query } = await this._dial();
      if (turn !== this._turn || this._closed) return;
      if (this.stream !== null && this.n !== null && query.resume !== null) {
        query.resume = `${this.stream}-${this.n}`;
      }
      const socket = await this._open(path, clean(query));
      if (turn !== this._turn || this._closed) { socket.close(1000); return; }
      this._socket = socket;
      this._heard_ms = began_ms;
      socket.onmessage = (event) => this._message(event.data);
      socket.onclose = (event) => this._gone(event.code, event.reason);
      socket.onerror = () => {};
    } catch (error) {
      if (turn === this._turn && !this._closed) this._failed(error);
    }
  }

  _failed(error) {
    this.error = error;
    const status = error?.status ?? 0;
    const reason = error?.detail || error?.title || error?.message || "the gateway does not answer";
    if (status === 401 || status === 403 || status === 404) this._later("denied", reason, 10000);
    else this._later("waiting", status ? reason : "the gateway does not answer");
  }

  _gone(code, reason) {
    const greeted = this._greeted;
    this._drop();
    if (code === 1000 && greeted) { this._set("ended", reason || "the stream has ended"); return; }
    if (code === 1008) { this._later("waiting", reason || "the gateway has closed the connection", 2000); return; }
    if (code === 1013) { this._later("waiting", reason || "the gateway is busy"); return; }
    this._later("waiting", reason || (greeted ? "the connection was lost" : "the gateway does not answer"));
  }

  /** Try again after a while, longer each time; never all pages at the same moment. */
  _later(phase, reason, least_ms = 0) {
    const attempts = this.state.attempts;
    const step_ms = WAITS_MS[Math.min(attempts, WAITS_MS.length - 1)];
    const wait_ms = Math.max(least_ms, step_ms) * (0.75 + this._env.random() / 2);
    this._drop();
    this._set(phase, reason, { attempts: attempts + 1, retry_ms: this._env.now() + wait_ms });
    this._retry = this._env.setTimeout(() => this._attempt(), wait_ms);
  }

  _message(text) {
    this._heard_ms = this._env.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // what is no JSON is not said by a gateway
    }
    if (this.state.phase === "silent" && this._greeted) this._set("up");
    switch (message.type) {
      case "pong":
        this._pong(message);
        return;
      case "heartbeat":
        this._changed(this.state);
        return;
      case "hello":
        this._hello(message);
        break;
      default:
        if (message.n !== undefined) this.n = message.n;
    }
    this._hear(message);
  }

  _hello(message) {
    this.isRestarted = this.stream !== null && this.stream !== message.stream;
    this.isFirst = this.stream === null;
    this.stream = message.stream;
    if (this.isFirst || this.isRestarted) this.n = message.n;
    this.clock.told(message.server_now_ns / 1e9);
    this._greeted = true;
    this._ask();
    this._set("up", "", { attempts: 0 });
  }

  _pong(message) {
    if (Number.isFinite(this._asked_ms)) {
      const jump_s = this.clock.answer(message.time_ns / 1e9, this._asked_ms, this._heard_ms);
      if (jump_s) this._jumped(jump_s);
    }
    this._asked_ms = NaN;
    this._changed(this.state);
  }

  _ask() {
    if (!this.say({ type: "ping" })) return;
    this._asked_ms = this._clocked_ms = this._env.now();
  }

  _tick() {
    const now_ms = this._env.now();
    // Where this comes late, the page was busy or asleep: what came meanwhile is heard first.
    const isLate = now_ms - this._watched_ms > 3 * WATCH_MS + 200;
    this._watched_ms = now_ms;
    if (this._socket !== null) this._judge(now_ms, isLate);
    this._watch = this._env.setTimeout(() => this._tick(), WATCH_MS);
  }

  _judge(now_ms, isLate) {
    const quiet_ms = now_ms - this._heard_ms;
    if (!this._greeted) {
      if (quiet_ms > OPENING_MS) this._later("waiting", "the gateway does not answer");
      return;
    }
    const isHidden = this._env.hidden();
    const isDue = !Number.isFinite(this._asked_ms) || now_ms - this._asked_ms > 1000;
    // While the page begins it is slow, and so are the first answers: a few more, soon, have a short one among them.
    const isFirst = !this.clock.isSettled && !isHidden && !Number.isFinite(this._asked_ms);
    const isClockDue = now_ms - this._clocked_ms > (isFirst ? FIRST_CLOCK_MS : CLOCK_MS);
    if (isDue && (isClockDue || quiet_ms > (isHidden ? HIDDEN_QUIET_MS : QUIET_MS))) this._ask();
    if (isHidden || isLate) {
      if (isHidden && quiet_ms > HIDDEN_DEAD_MS) this._later("waiting", "the gateway is silent");
      return;
    }
    const rtt_ms = 1e3 * (this.clock.rtt_s || 0);
    if (quiet_ms > Math.max(DEAD_MS, 4 * rtt_ms)) {
      this._later("waiting", "the gateway is silent");
    } else if (quiet_ms > Math.max(SILENT_MS, QUIET_MS + 2 * rtt_ms) && this.state.phase === "up") {
      this._set("silent", "nothing comes from the gateway");
    }
  }
}

function clean(query) {
  return Object.fromEntries(
    Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );
}
