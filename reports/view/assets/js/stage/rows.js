// What stands beside the strips: name, value at the cursor, margin; as text that can be read and copied.

import { el } from "../words.js";
import { showLimit } from "./box.js";
import { activeIn, boundsText, breaks, broken, holdsAt, isOfValues, isShown, marginText, outcomeOf, worst } from "./limits.js";
import { digitsOfResolution, reading, span, trimmed } from "./scale.js";
import { HELD, BOUNDED, LOST } from "./source.js";

const STATE_WORDS = { [BOUNDED]: "bounded", [HELD]: "held", [LOST]: "lost" };

export class Rows {
  constructor(stage) {
    this.stage = stage;
    this.list = stage.list;
    this.rows = new Map();
    this.lit = null;
    this.list.addEventListener("pointerover", (event) => this._light(event.target.closest?.(".stage-row")?.dataset.name ?? null));
    this.list.addEventListener("pointerleave", () => this._light(null));
    this.list.addEventListener("focusin", (event) => this._light(event.target.closest?.(".stage-row")?.dataset.name ?? null));
  }

  _light(name) { this.stage.hover = name; }

  build(strips) {
    const before = this.rows;
    this.rows = new Map();
    for (const strip of strips) {
      const row = before.get(strip.key) ?? this._make(strip);
      before.delete(strip.key);
      row.strip = strip;
      this._describe(row);
      this.rows.set(strip.key, row);
    }
    const elements = [...this.rows.values()].map((row) => row.element);
    // What has the focus keeps it where nothing has changed.
    const isSame = elements.length === this.list.children.length && elements.every((one, i) => one === this.list.children[i]);
    if (!isSame) this.list.replaceChildren(...elements);
  }

  _make(strip) {
    const text = () => document.createTextNode("");
    const row = { strip, value: text(), unit: text(), more: text(), age: text(), name: text() };
    row.swatch = el("span", { class: "row-swatch", "aria-hidden": "true" });
    row.nameElement = el("span", { class: "row-name" }, row.name);
    row.valueElement = el("output", { class: "row-value" }, row.value);
    row.limit = el("button", { type: "button", class: "row-limit quiet", onclick: () => showLimit(this.stage, row.limitShown, row.limit) });
    row.hide = el("button", { type: "button", class: "row-hide quiet", onclick: () => this.hide(row.strip.name) }, "✕");
    row.head = el("div", { class: "row-head" },
      el("div", { class: "row-line" }, row.swatch, row.nameElement, row.hide),
      el("div", { class: "row-line" }, row.valueElement, el("span", { class: "row-unit" }, row.unit), el("span", { class: "row-age" }, row.age)),
      el("div", { class: "row-line row-more" }, row.limit, el("span", { class: "row-stats" }, row.more)));
    row.element = el("li", { class: "stage-row", tabindex: "-1" }, row.head);
    return row;
  }

  _describe(row) {
    const { strip } = row, { signal } = strip;
    row.element.dataset.name = strip.name;
    row.element.dataset.what = strip.what;
    row.element.dataset.key = strip.key;
    put(row.name, signal.label + (signal.isUnknown ? " (not in this recording)" : ""));
    row.nameElement.title = [signal.name, signal.group, signal.unit].filter(Boolean).join(" · ");
    row.element.setAttribute("aria-label", signal.label);
    row.hide.setAttribute("aria-label", `Hide ${signal.label}`);
    put(row.unit, signal.unit);
    row.digits = strip.what === "value" ? digitsOfResolution(signal.resolution) : null;
    row.limitKey = null;
  }

  layout(height) {
    this.list.style.setProperty("--row-height", `${height}px`);
    this.list.classList.toggle("is-dense", height < 46);
  }

  hide(name) { this.stage.select(this.stage.selected.filter((one) => one !== name)); }

  /** Keys of the strips that can be seen. */
  onScreen() {
    const { stage } = this, { box } = stage;
    if (!box) return new Set(stage.strips.slice(0, 12).map((strip) => strip.key));
    const top = stage.scroll.scrollTop;
    return new Set(stage.strips.slice(Math.floor(top / box.rowHeight), Math.ceil((top + box.height) / box.rowHeight)).map((strip) => strip.key));
  }

  /** Bring values up to date; only of what is seen. */
  read() {
    const { stage } = this, t = stage.time.at, shown = this.onScreen();
    for (const row of this.rows.values()) {
      if (!shown.has(row.strip.key)) continue;
      this._value(row, t);
      this._limit(row, t);
      this._stats(row, t);
      toggle(row.element, "is-lit", stage.hover === row.strip.name);
      const colour = row.strip.colour;
      if (colour && row.colour !== colour) row.swatch.style.background = row.colour = colour;
    }
  }

  _value(row, t) {
    const { stage } = this, { strip } = row;
    const layer = strip.layers.includes("") ? "" : strip.layers[strip.layers.length - 1];
    const isNow = stage.time.mode === "following" && t === stage.time.t;
    const found = stage.valueAt(strip.name, isNow ? Infinity : t, layer);
    const isStale = isNow && stage.isStale(strip.name);
    // What has not come yet is not missing.
    const isAwaited = !stage.book.has(strip.name, layer) && !stage.info.live;
    let words = isAwaited && !strip.signal.isUnknown ? "…" : "–", age = "";
    if (found) {
      const step = stage.book.step_s(strip.name, layer);
      const old_s = isNow ? (isStale ? stage.book.silence_s(strip.name) : 0) : t - found.t;
      words = (found.exact ? "" : "≈ ") + (found.s === LOST ? "lost" : reading(found.v, row.digits));
      if (STATE_WORDS[found.s] && found.s !== LOST) age = STATE_WORDS[found.s];
      const isLost = !isNow && inGap(stage.book.column(strip.name, layer, t, t).gaps, found.t, t);
      if (Number.isFinite(old_s) && (isLost || old_s > Math.max(1, step * 6))) age = `${span(Math.round(old_s * 10) / 10)} old`;
    }
    put(row.value, words);
    put(row.age, age);
    toggle(row.element, "is-stale", isStale || (Boolean(age) && age.endsWith("old")));
    toggle(row.element, "is-none", !found);
  }

  _limit(row, t) {
    const { strip } = row, { time } = this.stage;
    const active = strip.limits.filter((limit) => activeIn(limit, time.start, time.end));
    const limit = worst(active.length ? active : strip.limits);
    row.limitShown = limit;
    const key = limit ? `${limit.id}|${limit.outcome}|${limit.margin_pct}|${strip.limits.length}` : "";
    if (key !== row.limitKey) {
      row.limitKey = key;
      row.limit.hidden = !limit;
      if (limit) {
        const { sign, word, tone } = outcomeOf(limit), margin = marginText(limit);
        const more = strip.limits.length > 1 ? ` (${strip.limits.length})` : "";
        row.limit.className = `row-limit quiet tone-${tone}`;
        row.limit.replaceChildren(el("b", {}, sign), ` ${boundsText(limit)} `, el("span", { class: "row-margin" }, margin), more);
        row.limit.setAttribute("aria-label", `Limit ${limit.text ?? limit.name}: ${word}${margin ? `, margin ${margin}` : ""}`);
        row.limit.title = `${limit.text ?? ""} – ${word}`;
      }
    }
    const value = strip.what === "value" ? this.stage.valueAt(strip.name, t, "") : null;
    const isBad = Boolean(value) && strip.limits.some((one) =>
      isOfValues(one) && holdsAt(one, value.t) && breaks(one, value.v));
    toggle(row.element, "is-bad", isBad);
  }

  _stats(row, t) {
    const { stage } = this, { strip } = row;
    const layer = strip.layers.includes("") ? "" : strip.layers[strip.layers.length - 1];
    const found = stage.book.has(strip.name, layer) ? stage.betweenCursors(strip.name, layer) : null;
    let words = "";
    if (found) {
      const near = found.exact ? "" : "≈";
      words = found.count
        ? `Δ ${reading(found.delta, row.digits)}  min ${reading(found.min, row.digits)}  max ${reading(found.max, row.digits)}  mean ${near}${trimmed(found.mean, 4)}  ${trimmed(found.delta / (found.to - found.from), 3)}/s`
        : "no readings between the cursors";
    } else if (strip.layers.length > 1) {
      words = strip.layers.filter((one) => one !== layer).map((one) => {
        const value = stage.valueAt(strip.name, t, one);
        return `${one} ${value ? reading(value.v, row.digits) : "–"}`;
      }).join("  ");
    }
    put(row.more, words);
  }

  /** When a limit was broken first, as far as it can be seen. */
  firstBroken(limit) {
    if (!isShown(limit) || !limit.signal) return null;
    const { book, time } = this.stage;
    const spans = broken(limit, book.column(limit.signal, "", time.first_s, time.last_s), time.first_s, time.last_s);
    return spans.length ? spans[0][0] : null;
  }

  /** Move the light by so many strips; gives the name. */
  step(by) {
    const strips = this.stage.strips;
    if (!strips.length) return;
    const now = strips.findIndex((strip) => strip.name === this.stage.hover);
    const next = strips[Math.min(Math.max(now < 0 ? (by > 0 ? 0 : strips.length - 1) : now + by, 0), strips.length - 1)];
    const row = this.rows.get(next.key);
    row.element.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: "nearest" });
    this.stage.hover = next.name;
    this.stage.tell(`${next.signal.label} ${row.value.data} ${row.unit.data}`);
  }
}

/** True where a known gap lies between a reading and the instant that is looked at. */
function inGap(gaps, read_s, t) { return Boolean(gaps?.some(([from, to]) => from >= read_s - 1e-6 && from < t && to > t)); }

function put(node, words) { if (node.data !== words) node.data = words; }

function toggle(element, name, on) { if (element.classList.contains(name) !== on) element.classList.toggle(name, on); }
