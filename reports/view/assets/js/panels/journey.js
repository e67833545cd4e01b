// One reading's journey: sampled, on the wire, received, committed, published; how long each stage took.

import { Latest } from "../run/latest.js";
import { trimmed } from "../stage/scale.js";
import { el, wordsOf } from "../words.js";

const LEAST_PERCENT = 0.6;

export function panel(stage, view) { return new JourneyPanel(stage, view); }

class JourneyPanel {
  name = "journey";
  title = "A reading’s journey";
  key = "j";

  constructor(stage) {
    this.stage = stage;
    this.latest = new Latest(({ name, t }) => stage.source.journey(name, t), (answer, error) => this._show(answer, error));
    this.choice = el("select", { "aria-label": "Signal whose reading is followed" });
    this.choice.addEventListener("change", () => { this.chosen = this.choice.value; stage.invalidate(16); });
    this.head = el("p", { class: "journey-head" });
    this.list = el("ol", { class: "journey" });
    this.notes = el("p", { class: "hint" });
    this.element = el("div", {}, el("div", { class: "wire-tools" }, this.choice, this.head), this.list, this.notes);
    this._offs = [stage.on("info", () => this._names()), stage.on("selected", () => this._names())];
    this._names();
  }

  /** Signals that are shown come first. */
  _names() {
    const known = new Set(this.stage.info.signals.filter((signal) => !signal.derived).map((signal) => signal.name));
    const shown = this.stage.selected.filter((name) => known.has(name));
    const names = [...shown, ...[...known].filter((name) => !shown.includes(name))];
    this.chosen = names.includes(this.chosen) ? this.chosen : names[0];
    this.choice.replaceChildren(...names.map((name) => el("option", { value: name, selected: name === this.chosen }, name)));
  }

  visible(stage) { return Boolean(stage.info.has.journey && stage.source.journey); }

  draw(stage) {
    const t = stage.time.at;
    if (Number.isFinite(t) && this.chosen) this.latest.want(`${this.chosen} ${t.toFixed(3)}`, { name: this.chosen, t });
  }

  destroy() {
    this.latest.close();
    for (const off of this._offs) off();
  }

  _show(answer, error) {
    if (error) {
      this.head.textContent = "";
      this.list.replaceChildren();
      this.notes.textContent = wordsOf(error).join(": ");
      return;
    }
    const { hops } = answer, first = hops[0]?.from_ns ?? 0;
    const end = Math.max(...hops.map((hop) => hop.to_ns), first + 1);
    const unit = answer.unit ? ` ${answer.unit}` : "";
    const value = answer.value === null ? "no number" : trimmed(answer.value, 6) + unit;
    this.head.textContent = `${value} at ${this.stage.clock(answer.time_ns / 1e9)}, ${shownMs((end - first) / 1e6)} in all`;
    this.list.replaceChildren(...hops.map((hop, i) => this._hop(hop, i ? hops[i - 1].to_ns : hop.from_ns, first, end)));
    this.notes.textContent = answer.notes.join("; ");
  }

  /** A bar from the end of the hop before, so that the longest wait is the longest bar. */
  _hop(hop, since_ns, first, end) {
    const from_ns = Math.min(since_ns, hop.from_ns), left = (from_ns - first) / (end - first) * 100;
    const width = Math.max(LEAST_PERCENT, (hop.to_ns - from_ns) / (end - first) * 100);
    const bar = el("i", { class: "journey-bar", "aria-hidden": "true" });
    bar.style.left = `${Math.min(left, 100 - LEAST_PERCENT)}%`;
    bar.style.width = `${Math.min(width, 100 - Math.min(left, 100 - LEAST_PERCENT))}%`;
    const after = hop.after_ms === undefined || hop.after_ms === null ? "" : `+${shownMs(hop.after_ms)}`;
    return el("li", {}, el("span", { class: "journey-name" }, el("b", {}, hop.name), el("span", {}, hop.text)),
      el("span", { class: "journey-took" }, after, hop.took_ms ? ` · took ${shownMs(hop.took_ms)}` : ""),
      el("span", { class: "journey-lane" }, bar));
  }
}

export function shownMs(ms) {
  if (Math.abs(ms) >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(Math.abs(ms) < 10 ? 2 : Math.abs(ms) < 100 ? 1 : 0)} ms`;
}
