// Cards: the newest value of sixteen signals, with its unit, its last minute, and grey with its age when it is old.

import { hubOf } from "../live/hub.js";
import { age, every, put } from "../live/say.js";
import { Trend } from "../live/trend.js";
import { quietly, readable, series } from "../sources/gateway.js";
import { digitsOfResolution, reading } from "../stage/scale.js";
import { el } from "../words.js";

const COUNT = 16;
const TEXT_MS = 250, TREND_MS = 1000;
const BACK_S = 60;
/** Behind the point: of a position that is a few centimetres. */
const MOST_DIGITS = 6;
/** What people want to see first, as far as a vehicle has it. */
const WANTED = [
  "SPEED", "RPM", "COOLANT_TEMP", "ENGINE_LOAD", "THROTTLE_POS", "FUEL_LEVEL", "CONTROL_MODULE_VOLTAGE",
  "INTAKE_TEMP", "MAF", "INTAKE_PRESSURE", "OIL_TEMP", "FUEL_RATE", "GPS_SPEED", "ALT", "SATS", "LAT",
  "LON", "BATTERY_LEVEL", "BATTERY_POWER", "BOOST", "AMBIANT_AIR_TEMP", "TIMING_ADVANCE", "HDOP", "GPS_HEADING",
];
const STATES = { 1: "bounded", 2: "predicted", 3: "lost" };

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const list = el("ul", { class: "cards", "aria-label": "Newest values" });
  element.append(list);
  const cards = new Map();
  let colour = {}, isOver = false;

  const arrange = () => {
    const names = chosen(options, hub);
    if (names.join() === [...cards.keys()].join()) return;
    for (const name of [...cards.keys()]) if (!names.includes(name)) { cards.get(name).item.remove(); cards.delete(name); }
    for (const name of names) {
      const card = cards.get(name) ?? new Card(name, hub);
      cards.delete(name); // so that it is put at its place
      cards.set(name, card);
      list.append(card.item);
    }
    texts();
  };
  const fresh = () => [...cards.values()].filter((card) => !card.isSeeded && hub.signals.has(card.name));
  /** The last minute before the page was opened. */
  const seed = async (unseeded) => {
    if (!unseeded.length || hub.replay) return;
    const byDevice = new Map();
    for (const card of unseeded) {
      card.isSeeded = true;
      const [device, short] = hub.meant(card.name);
      if (hub.isKnown(short)) byDevice.set(device, [...(byDevice.get(device) ?? []), short]);
    }
    const now_s = hub.now_s();
    for (const [device, shorts] of byDevice) {
      const lines = await quietly(series(view.api, `/api/v1/devices/${device}/series`, shorts, now_s - BACK_S, now_s, 2 * BACK_S));
      if (!lines || isOver) return;
      for (const [short, line] of lines) cards.get(hub.nameOf(device, short))?.seed(line);
    }
    trends();
  };
  const texts = () => {
    const stale = new Set(hub.staleNames), now_s = hub.now_s(), isUp = hub.connection.isUp;
    for (const card of cards.values()) card.write(now_s, isUp, stale);
  };
  const trends = () => {
    const now_s = hub.now_s();
    for (const card of cards.values()) card.draw(now_s, colour);
  };
  const colours = () => {
    const style = getComputedStyle(element);
    colour = { fresh: style.getPropertyValue("--series-1").trim(), stale: style.getPropertyValue("--stale").trim() };
  };
  const again = () => { colours(); trends(); };

  const off = hub.on((message) => {
    if (message.type === "readings") for (const row of message.rows) cards.get(row[0])?.take(row[1], row[2]);
    else if (message.type === "info") { arrange(); seed(fresh()); }
    else if (message.type === "state" && message.connection !== "up") texts();
    else if (message.type === "reload" && message.start_s === undefined) for (const card of cards.values()) card.trend = new Trend();
  });
  const stops = [every(TEXT_MS, texts), every(TREND_MS, trends)];
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", again);
  addEventListener("telerig:theme", again);
  colours();
  arrange();
  seed(fresh());
  return {
    unmount() {
      isOver = true;
      off();
      for (const stop of stops) stop();
      scheme.removeEventListener("change", again);
      removeEventListener("telerig:theme", again);
      release();
    },
  };
}

/** Names of the cards: those asked for, else those that are wanted and there, others that are there, and wanted ones. */
export function chosen({ cards, count = COUNT }, hub) {
  const asked = typeof cards === "string" ? cards.split(",").filter(Boolean) : cards;
  if (asked?.length) return asked;
  const there = [...hub.signals.values()].sort((a, b) => a.id - b.id);
  const rank = (slot) => (WANTED.indexOf(slot.short) + 1) || WANTED.length + 1;
  const names = [...there].sort((a, b) => rank(a) - rank(b)).map((slot) => slot.name);
  for (const short of hub.isMany ? [] : WANTED) if (!names.includes(short)) names.push(short);
  return names.slice(0, count);
}

class Card {
  constructor(name, hub) {
    this.name = name;
    this.hub = hub;
    this.trend = new Trend();
    this.value = el("span", { class: "card-value" });
    this.unit = el("span", { class: "card-unit" });
    this.note = el("span", { class: "card-note" });
    this.canvas = el("canvas", { class: "card-trend", "aria-hidden": "true" });
    const [, short] = hub.meant(name);
    const label = (hub.isMany ? `${name.slice(0, -short.length)} ` : "") + readable(short);
    const body = [
      el("span", { class: "card-name", title: name }, label),
      el("span", { class: "card-reading" }, this.value, this.unit),
      this.canvas,
      this.note,
    ];
    this.item = el("li", { class: "card", "data-signal": name }, ...body);
    this.item.addEventListener("pointerenter", () => light(name));
    this.item.addEventListener("pointerleave", () => light(null));
  }

  take(t, v) { this.trend.add(t, v); }

  seed(line) { for (let i = 0; i < line.t.length; i++) this.trend.add(line.t[i], line.v[i]); }

  write(now_s, isUp, stale) {
    const slot = this.hub.signals.get(this.name);
    if (!slot || slot.t === -Infinity) {
      this._state("missing");
      put(this.value, "–");
      put(this.unit, "");
      put(this.note, "no reading");
      return;
    }
    const old_s = now_s - slot.t;
    const isStale = !isUp || stale.has(this.name) || old_s > patience_s(slot);
    this._state(isStale ? "stale" : "fresh");
    const text = Number.isNaN(slot.v) ? "–" : reading(slot.v, this._digits(slot));
    put(this.value, text);
    this.value.classList.toggle("is-long", text.length > 7);
    put(this.unit, slot.unit);
    const notes = [isStale ? `${age(old_s)} old` : "", STATES[slot.state] ?? "", Number.isNaN(slot.v) ? "no number" : ""];
    put(this.note, notes.filter(Boolean).join(", "));
  }

  _digits({ resolution }) {
    if (resolution !== this.resolution) {
      this.resolution = resolution;
      this.digits = digitsOfResolution(resolution);
      if (this.digits !== null) this.digits = Math.min(this.digits, MOST_DIGITS);
    }
    return this.digits;
  }

  _state(state) {
    if (this.item.dataset.state !== state) this.item.dataset.state = state;
  }

  draw(now_s, colour) {
    const { canvas } = this;
    const w = canvas.clientWidth, h = canvas.clientHeight, ratio = Math.min(devicePixelRatio || 1, 2);
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * ratio)) canvas.width = Math.round(w * ratio);
    if (canvas.height !== Math.round(h * ratio)) canvas.height = Math.round(h * ratio);
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.trend.until(now_s);
    this.trend.draw(g, w, h, this.item.dataset.state === "fresh" ? colour.fresh : colour.stale);
  }
}

/** So long a reading counts as new: a few of the signal's own steps. */
function patience_s(slot) { return Math.min(Math.max(2, (slot.step_s || 0) * 4), 120); }

/** Light the strip of a signal on the page's stage. */
function light(name) {
  const stage = globalThis.telerigView?.stage;
  if (stage && stage.info.live) stage.hover = name;
}
