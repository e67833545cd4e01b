// What the stage hears from its source, and what it makes of it.

import { Asking } from "./asking.js";
import { ALL, HEAD, LAYOUT, PANELS, READOUT, SCRUB, STRIPS } from "./drawing.js";
import { completed } from "./source.js";

/** Signals shown where neither the address nor the source says which. */
export const MOST_DEFAULT = 40;
const MOST_EVENTS = 5000, MOST_SIGNALS = 2000;

/** The part of Stage that hears; the fields that it reads are Stage's. */
export class Hearing extends Asking {
  _message(message) {
    this._heardAt = performance.now();
    switch (message.type) {
      case "readings": this._readings(message); break;
      case "event": this._addEvents([message.event]); break;
      case "state": this._state(message); break;
      case "stale": this.staleNames = new Set(message.names ?? []); this.invalidate(STRIPS | READOUT); break;
      case "info": this._infoChanged(message.info ?? {}); break;
      case "reload": this._reload(); break;
      case "end": this._end(message); break;
      default: break;
    }
  }

  _readings(message) {
    if (this.connection.state !== "up") this._state({ connection: "up" });
    let isNew = false;
    for (const row of message.rows) {
      if (!this.signalsByName.has(row[0]) && this.info.signals.length < MOST_SIGNALS) {
        const signal = completed({ signals: [{ name: row[0], default: false, isHeard: true }] }).signals[0];
        this.info.signals.push(signal);
        this.signalsByName.set(signal.name, signal);
        isNew = true;
      }
    }
    const newest = this.book.take(message.rows, message.layer ?? "");
    this._messages++;
    if (newest === newest) this.hook.came(message.sent_s ?? newest);
    if (isNew) {
      if (!this.isChosen && !this.selected.length) {
        this.usual = this.selected = this.info.signals.slice(0, MOST_DEFAULT).map((signal) => signal.name);
        this._makeStrips();
      }
      this.emit("info");
    }
  }

  _state(message) {
    const before = this.connection.state;
    this.connection = { state: message.connection ?? before, text: message.text ?? "" };
    if (Number.isFinite(message.server_now_s)) this.hook.offset_s = message.server_now_s - Date.now() / 1000;
    if (before === this.connection.state) return;
    this.emit("connection");
    this.element.dataset.connection = this.connection.state;
    this.tell(this.connection.state === "up" ? "Connected" : "Connection lost: values are old");
    this.toolbar.update();
    this.invalidate(STRIPS | READOUT | PANELS);
  }

  _infoChanged(changes) {
    this._setInfo(completed({ ...this.info, ...changes, has: { ...this.info.has, ...changes.has } }));
    if (!this.info.live && Number.isFinite(changes.end_s)) this.time.bounds(NaN, changes.end_s);
    if (this.info.live) { this._begun(changes.start_s); this._refill(); }
    this.emit("info");
    this.invalidate(ALL);
  }

  /** A run that was about to begin when the page came has its beginning now. */
  _begun(start_s) {
    if (this.info.kind !== "run" || !Number.isFinite(start_s) || start_s === this.time.first_s) return;
    this.book.first_s = start_s;
    this.time.bounds(start_s, NaN);
  }

  _reload() {
    this.book.reload();
    if (this.info.live) this._prefill();
    this._want();
  }

  _end(message) {
    this.info.live = false;
    if (Number.isFinite(message.end_s)) this.book.last_s = message.end_s;
    this.info.end_s = this.book.last_s;
    this.time.live = false;
    // Before its beginning there is nothing to look at.
    const { first_s, start, end } = this.time;
    this.time.set({ mode: "replay", last_s: this.book.last_s, start: start < first_s && end > first_s ? first_s : start });
    this.connection = { state: "up", text: "" };
    this._fetch();
    this.emit("info");
    this.invalidate(ALL);
  }

  _noticed({ t, by_s }) {
    const words = `the clock went ${by_s < 0 ? "back" : "forward"} by ${Math.abs(by_s).toFixed(1)} s`;
    this._addEvents([{ t, kind: "jump", severity: "warn", text: words }]);
    this.tell(words);
    if (this.time.mode === "following" || by_s > 0) return;
    this.time.bounds(NaN, this.book.last_s);
  }

  _addEvents(events) {
    for (const event of events) {
      if (!event || !Number.isFinite(event.t)) continue;
      let place = this.events.length;
      while (place > 0 && this.events[place - 1].t > event.t) place--;
      this.events.splice(place, 0, event);
    }
    if (this.events.length > MOST_EVENTS) this.events.splice(0, this.events.length - MOST_EVENTS);
    this.emit("events");
    this.invalidate(HEAD | SCRUB | PANELS | LAYOUT);
  }
}
