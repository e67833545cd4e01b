// The bytes of every link at the cursor, decoded. A pointer over a field lights up its strip.

import { isText, shownHex, shownText } from "../run/bytes.js";
import { Latest } from "../run/latest.js";
import { trimmed } from "../stage/scale.js";
import { el, wordsOf } from "../words.js";

const WITHIN_MS = [20, 50, 200, 1000];
const WAYS = { ">": ["→", "to the gateway"], "<": ["←", "to the device"] };

export function panel(stage, view) { return new WirePanel(stage, view); }

class WirePanel {
  name = "wire";
  title = "On the wire";
  key = "w";

  constructor(stage) {
    this.stage = stage;
    this.withinMs = 50;
    this.form = "auto";
    this.closed = new Set();
    /** Signal that is lit from here. */
    this.lit = null;
    this.latest = new Latest(({ t }) => stage.source.wire(t, { within_ms: this.withinMs }), (answer, error, { t }) => this._show(answer, error, t));
    this.width = this._choice("Around the cursor", WITHIN_MS.map((ms) => [String(ms), `± ${ms} ms`]), "50", (value) => { this.withinMs = Number(value); });
    this.look = this._choice("Bytes as", [["auto", "as they are"], ["text", "text"], ["hex", "hex"]], "auto", (value) => { this.form = value; });
    this.at = el("span", { class: "wire-at" });
    this.links = el("div", { class: "wire-links" });
    this.element = el("div", { class: "wire" }, el("div", { class: "wire-tools" }, this.at, this.width, this.look), this.links);
    // Heard here and not by the fields: a field that is replaced under the pointer, or while it has the focus, hears nothing more.
    for (const type of ["pointerover", "focusin"]) this.links.addEventListener(type, (event) => this._light(event.target.closest?.(".is-signal")?.dataset.signal ?? null));
    for (const type of ["pointerleave", "focusout"]) this.links.addEventListener(type, () => this._light(null));
  }

  /** Light a signal's strip; null: what was lit from here is lit no more. */
  _light(name) {
    if (name === null && this.lit === null) return;
    if (name !== null || this.stage.hover === this.lit) this.stage.hover = name;
    this.lit = name;
  }

  _choice(label, pairs, chosen, set) {
    const select = el("select", { "aria-label": label }, ...pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
    select.addEventListener("change", () => { set(select.value); this.latest.forget(); this.stage.invalidate(16); });
    return select;
  }

  visible(stage) { return Boolean(stage.info.has.wire && stage.source.wire); }

  draw(stage) {
    const t = stage.time.at;
    if (!Number.isFinite(t)) return;
    // What grows has its newest bytes on disk a moment later.
    this.latest.want(`${t.toFixed(4)} ${this.withinMs} ${this.form}`, { t });
  }

  destroy() { this.latest.close(); this._light(null); }

  _show(answer, error, t) {
    this._light(null); // the field that lit it is replaced; a pointer that rests on the new one says so
    this.at.textContent = this.stage.clock(t);
    if (error) {
      this.links.replaceChildren(el("p", { class: "hint" }, wordsOf(error).join(": ")));
      return;
    }
    const focused = this.links.contains(document.activeElement) ? document.activeElement.dataset.signal : null;
    const there = answer.links.filter((link) => link.messages.length || link.note);
    const quiet = answer.links.filter((link) => !link.messages.length && !link.note).map((link) => link.link);
    this.links.replaceChildren(
      ...there.map((link) => this._link(link, t)),
      quiet.length ? el("p", { class: "hint" }, `Nothing on ${quiet.join(", ")}.`) : "",
    );
    // Who goes on with the keys of time stays at the field of that signal.
    if (focused) this.links.querySelector(`.is-signal[data-signal="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  _link(link, t) {
    const nearest = link.messages.reduce((best, one) => (best && Math.abs(best.t - t) <= Math.abs(one.t - t) ? best : one), null);
    const rows = link.messages.map((message) => this._message(message, t, message === nearest));
    const notes = [link.note, link.truncated ? "more than can be shown: look at less time" : ""].filter(Boolean).join("; ");
    const box = el("details", { class: "wire-link", open: !this.closed.has(link.link) },
      el("summary", {}, el("b", {}, link.link), ` ${link.messages.length} message${link.messages.length === 1 ? "" : "s"}`),
      notes ? el("p", { class: "hint" }, notes) : "", el("ol", {}, ...rows));
    box.addEventListener("toggle", () => { if (box.open) this.closed.delete(link.link); else this.closed.add(link.link); });
    return box;
  }

  _message(message, t, isNearest) {
    const [arrow, way] = WAYS[message.direction] ?? ["·", ""];
    const asText = this.form === "text" || (this.form === "auto" && isText(message.raw));
    const bytes = asText ? shownText(message.raw) : shownHex(message.raw);
    const more = message.size > message.raw.length ? ` … ${message.size} bytes` : "";
    return el("li", { class: `wire-message${isNearest ? " is-nearest" : ""}${message.error ? " is-bad" : ""}` },
      el("button", { type: "button", class: "wire-time quiet", title: `Go there; ${way}`, onclick: () => this.stage.time.seek(message.t) },
        offset(message.t - t), el("span", { "aria-label": way }, ` ${arrow}`)),
      el("code", {}, bytes + more),
      el("p", {}, el("b", {}, message.kind), message.text ? ` ${message.text}` : ""),
      message.error ? el("p", { class: "tone-bad" }, `✗ ${message.error}`) : "",
      message.fields?.length ? el("p", { class: "wire-fields" }, ...message.fields.map((field) => this._field(field))) : "");
  }

  _field(field) {
    const value = field.value === undefined || field.value === null ? field.text ?? "" : trimmed(field.value, 6);
    const words = [el("span", { class: "wire-name" }, field.name), ` ${value}${field.unit ? ` ${field.unit}` : ""}`];
    if (!field.signal) return el("span", { class: "wire-field" }, ...words);
    const { stage } = this;
    return el("button", {
      type: "button", class: "wire-field is-signal", title: `Signal ${field.signal}: show its strip`, "data-signal": field.signal,
      onclick: () => { if (!stage.selected.includes(field.signal)) stage.select([...stage.selected, field.signal]); this._light(field.signal); },
    }, ...words);
  }
}

/** "+12.4 ms" from the cursor. */
export function offset(seconds) {
  const ms = seconds * 1000;
  return `${ms < 0 ? "−" : "+"}${Math.abs(ms).toFixed(Math.abs(ms) < 100 ? 1 : 0)} ms`;
}
