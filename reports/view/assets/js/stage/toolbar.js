// The bar above the strips: what is shown, when, how it plays, and the buttons for everything that keys do.

import { el } from "../words.js";
import { closeBox, openBox } from "./box.js";
import { openHelp } from "./keys.js";
import { openPicker } from "./picker.js";
import { span } from "./scale.js";
import { SPEEDS } from "./time.js";

const AXIS_WORDS = { sim: "run time", wall: "local time", utc: "UTC" };
const LAYER_WORDS = { truth: "Truth", wire: "On the wire", stored: "Stored", error: "Error strip", delay: "Delay strip" };

export class Toolbar {
  constructor(stage) {
    this.stage = stage;
    const { time } = stage;
    const button = (words, label, act, extra = {}) => el("button", { type: "button", title: label, "aria-label": label, onclick: act, ...extra }, words);
    this.play = button("▶", "Play (space)", () => time.toggle(), { class: "icon stage-play" });
    this.live = button("Live", "Follow what is newest (L)", () => time.follow(), { class: "stage-live" });
    this.mode = el("span", { class: "stage-mode", role: "status" });
    this.clock = el("output", { class: "stage-clock", "aria-label": "Time at the cursor" });
    this.range = el("span", { class: "stage-range" });
    this.speed = el("select", { "aria-label": "Speed (, .)", title: "Speed (, .)", onchange: () => time.set({ speed: Number(this.speed.value) }) },
      ...SPEEDS.map((speed) => el("option", { value: String(speed) }, `${speed}×`)));
    this.loop = button("⟳", "Loop over the selection (o)", () => time.toggleLoop(), { class: "icon" });
    this.axis = button("", "Other time axis (x)", () => time.nextAxis(), { class: "stage-axis" });
    this.layersButton = button("Layers ▾", "Layers (a)", () => this.toggleLayers(), { "aria-expanded": "false", class: "stage-layers-button" });
    this.layersMenu = el("div", { class: "stage-layers", hidden: true, role: "group", "aria-label": "Layers" });
    this.mark = button("✎", "Put a mark here (m)", () => stage.mark(), { class: "icon" });
    this.element = el("div", { class: "stage-toolbar", role: "toolbar", "aria-label": "Stage" },
      el("div", { class: "stage-tools" }, this.play, this.live, this.speed, this.loop),
      el("div", { class: "stage-now" }, this.clock, this.mode),
      this.range,
      el("div", { class: "stage-tools stage-tools-right" },
        this.axis,
        button("−", "Zoom out (-)", () => time.zoom(2), { class: "icon" }),
        button("+", "Zoom in (+)", () => time.zoom(0.5), { class: "icon" }),
        button("⤢", "Show all (0)", () => time.all(), { class: "icon" }),
        this.mark,
        el("div", { class: "stage-layers-hold" }, this.layersButton, this.layersMenu),
        button("Signals…", "Choose signals (s)", () => openPicker(stage)),
        button("?", "Keys (?)", () => openHelp(stage), { class: "icon" })));
    stage.mark = () => this._mark();
    this._off = [time.on(() => this._timeChanged()), stage.on("info", () => this.update()), stage.on("selected", () => this.update())];
  }

  /** The window moves all the time; how it moves changes seldom. */
  _timeChanged() {
    const { mode, playing, speed, loop, axis, live } = this.stage.time;
    const key = `${mode} ${playing} ${speed} ${Boolean(loop)} ${axis} ${live}`;
    if (key === this._key) return;
    this._key = key;
    this.update();
  }

  update() {
    const { stage } = this, { time, info } = stage;
    const isGoing = time.playing || time.mode === "following";
    text(this.play, isGoing ? "❚❚" : "▶");
    attribute(this.play, "aria-label", isGoing ? "Pause (space)" : "Play (space)");
    hide(this.live, !time.live);
    attribute(this.live, "aria-pressed", String(time.mode === "following"));
    if (this.speed.value !== String(time.speed)) this.speed.value = String(time.speed);
    attribute(this.loop, "aria-pressed", String(Boolean(time.loop)));
    text(this.axis, AXIS_WORDS[time.axis]);
    const connection = stage.connection.state;
    const mode = connection !== "up" && info.live ? (connection === "connecting" ? "… connecting" : "✗ connection lost")
      : time.mode === "following" ? "● following" : time.playing ? `▶ ${time.mode} ${time.speed}×` : time.mode === "paused" ? "❚❚ paused" : "replay";
    text(this.mode, mode);
    attribute(this.mode, "data-tone", connection !== "up" && info.live ? "bad" : time.mode === "following" ? "good" : "quiet");
    hide(this.layersButton.parentElement, !stage.layersThere.length);
    this.read();
  }

  read() {
    const { stage } = this, { time } = stage;
    const t = time.at;
    const day = stage.day(t);
    text(this.clock, `${stage.clock(t)}`);
    attribute(this.clock, "title", Number.isFinite(t) ? `${new Date(t * 1000).toISOString()} UTC` : "");
    const between = time.t === time.t && time.t2 === time.t2 ? `  Δ ${span(Math.abs(time.t2 - time.t))}` : "";
    text(this.range, `${day ? `${day} · ` : ""}window ${span(time.length_s)}${between}${time.loop ? `  loop ${span(time.loop[1] - time.loop[0])}` : ""}`);
  }

  toggleLayers(open = this.layersMenu.hidden) {
    const { stage } = this;
    this.layersButton.setAttribute("aria-expanded", String(open));
    this.layersMenu.hidden = !open;
    if (!open) return;
    const there = new Set(stage.layersThere);
    if (there.has("truth")) { there.add("error"); there.add("delay"); }
    this.layersMenu.replaceChildren(...Object.entries(LAYER_WORDS).filter(([layer]) => there.has(layer)).map(([layer, words]) =>
      el("label", { class: `stage-layer stage-layer-${layer}` },
        el("input", { type: "checkbox", checked: stage.layers.has(layer), onchange: () => stage.toggleLayer(layer) }),
        el("span", { class: "stage-layer-look", "aria-hidden": "true" }), words)));
    this.layersMenu.querySelector("input")?.focus();
  }

  _mark() {
    const { stage } = this, t = Number.isFinite(stage.time.at) ? stage.time.at : stage.time.last_s;
    if (!Number.isFinite(t)) return;
    const input = el("input", { type: "text", "aria-label": "Note", placeholder: "what happened", maxlength: "200" });
    const form = el("form", { class: "stage-note", onsubmit: (event) => {
      event.preventDefault();
      closeBox(stage);
      stage.addMark(t, input.value.trim() || "mark");
    } }, input, el("button", { type: "submit", class: "primary" }, "Put it there"));
    openBox(stage, this.mark, `Note at ${stage.clock(t)}`, form);
    input.focus();
  }
}

function text(element, words) {
  if (element.firstChild?.nodeType === 3) { if (element.firstChild.data !== words) element.firstChild.data = words; }
  else element.textContent = words;
}
function attribute(element, name, value) { if (element.getAttribute(name) !== value) element.setAttribute(name, value); }
function hide(element, isHidden) { if (element.hidden !== isHidden) element.hidden = isHidden; }
