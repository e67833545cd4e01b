// Keys for everything, and the overlay that says which.

import { el } from "../words.js";
import { closeBox } from "./box.js";
import { load, save } from "./layouts.js";
import { openPicker } from "./picker.js";
import { niceStep } from "./scale.js";

/** [shown, words]: in the order of the help. */
export const KEYS = [
  ["space", "play, pause"], ["← →", "step; with shift ten times as far"], ["alt ← →", "previous, next reading of the lit signal"],
  ["[ ]", "window back, forward"], ["+ −", "zoom in, out"], ["0", "show all"], ["home end", "beginning, end"],
  ["L", "live: follow what is newest"], ["n p", "next, previous event"], ["f", "next failure"], ["m", "put a mark"],
  ["c", "second cursor here: Δ, min, max, mean between"], ["o", "loop over the selection"], [", .", "slower, faster"],
  ["↑ ↓", "light the strip above, below"], ["delete", "hide the lit strip"], ["s", "choose signals"], ["a", "layers"],
  ["1 – 9", "layouts; with shift: keep this one"], ["x", "run time, local time, UTC"], ["esc", "close, clear cursors"], ["?", "this"],
];

const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]";

export function bindKeys(stage) {
  const heard = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || !stage.element.isConnected) return;
    if (document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.matches(TYPING)) {
      if (event.key === "Escape" && closeBox(stage)) event.preventDefault();
      return;
    }
    // A button that has the focus is pressed by space; so is a box ticked, and a panel opened.
    if ((event.key === " " || event.key === "Enter") && target.closest("button, a, summary, label, input")) return;
    if (act(stage, event, target)) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  document.addEventListener("keydown", heard);
  return () => document.removeEventListener("keydown", heard);
}

function act(stage, event, target) {
  const { time, rows } = stage, { key, shiftKey, altKey } = event;
  const panel = !altKey && stage.panels.find((one) => one.key === key && one.visible(stage));
  if (panel) { stage.side.toggle(panel); return true; }
  if (/^Digit[1-9]$/.test(event.code) && !altKey) {
    const place = event.code.slice(5);
    if (shiftKey) save(stage, place); else load(stage, place);
    return true;
  }
  const step = (far) => {
    const unit = niceStep(time.length_s / 100, 1) * (far ? 10 : 1);
    return unit;
  };
  switch (key) {
    case " ": time.toggle(); return true;
    case "ArrowLeft": case "ArrowRight": {
      if (target.closest(".maplibregl-map, [role=tablist], [role=menu]")) return false;
      const way = key === "ArrowRight" ? 1 : -1;
      if (altKey) return nextReading(stage, way);
      time.seek((Number.isFinite(time.t) ? time.t : time.start) + way * step(shiftKey));
      return true;
    }
    case "ArrowUp": rows.step(-1); return true;
    case "ArrowDown": rows.step(1); return true;
    case "Delete": case "Backspace": if (!stage.hover) return false; rows.hide(stage.hover); return true;
    case "[": time.pan(-time.length_s); return true;
    case "]": time.pan(time.length_s); return true;
    case "+": case "=": time.zoom(0.5); return true;
    case "-": case "_": time.zoom(2); return true;
    case "0": time.all(); return true;
    case "Home": time.seek(time.first_s); return true;
    case "End": if (!time.follow()) time.seek(time.last_s); return true;
    case "l": case "L": time.follow(); return true;
    case "n": stage.jumpTo(1); return true;
    case "p": stage.jumpTo(-1); return true;
    case "f": stage.jumpTo(1, true); return true;
    case "m": stage.mark(); return true;
    case "c": time.set({ t2: Number.isFinite(time.t2) && time.t2 === time.at ? NaN : time.at }); return true;
    case "o": time.toggleLoop(); return true;
    case ",": time.faster(-1); stage.tell(`${time.speed} times`); return true;
    case ".": time.faster(1); stage.tell(`${time.speed} times`); return true;
    case "s": openPicker(stage); return true;
    case "a": stage.toolbar.toggleLayers(); return true;
    case "x": time.nextAxis(); return true;
    case "?": openHelp(stage); return true;
    case "Escape":
      if (closeBox(stage)) return true;
      if (!stage.toolbar.layersMenu.hidden) { stage.toolbar.toggleLayers(false); stage.toolbar.layersButton.focus(); return true; }
      return time.set({ t2: NaN, hover: NaN, loop: null });
    default: return false;
  }
}

function nextReading(stage, way) {
  const name = stage.hover ?? stage.strips[0]?.name;
  if (!name) return true;
  const { t } = stage.time, { t: times } = stage.data(name);
  const next = way > 0 ? times.find((one) => one > t) : times.findLast((one) => one < t);
  if (next !== undefined) stage.time.seek(next);
  return true;
}

export function openHelp(stage) {
  const dialog = el("dialog", { class: "dialog stage-help", "aria-label": "Keys" });
  const panels = stage.panels.filter((panel) => panel.key).map((panel) => [panel.key, `panel ${panel.title}`]);
  dialog.append(
    el("header", {}, el("h2", {}, "Keys"), el("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    el("dl", { class: "stage-keys" }, ...[...KEYS, ...panels].map(([keys, words]) =>
      el("div", {}, el("dt", {}, ...keys.split(" ").flatMap((key, i) => [i ? " " : "", el("kbd", {}, key)])), el("dd", {}, words)))),
    el("p", { class: "hint" }, "Drag to pan, shift and drag to select, ctrl and wheel (or two fingers) to zoom, click to put the cursor, alt and click for the second one."));
  const opener = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); opener?.isConnected && opener.focus?.(); });
  dialog.addEventListener("keydown", (event) => { if (event.key === "?") { dialog.close(); event.preventDefault(); } });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}
