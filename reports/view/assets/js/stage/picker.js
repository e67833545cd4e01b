// The signal picker: search, groups, all or none of a group; and the layouts.

import { el } from "../words.js";
import * as layouts from "./layouts.js";

/** Signals that fit a search: each word somewhere in name, label, group or unit. */
export function found(signals, words) {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  return signals.filter((signal) => {
    const text = `${signal.name} ${signal.label} ${signal.group} ${signal.unit}`.toLowerCase();
    return parts.every((part) => text.includes(part));
  });
}

export function grouped(signals) {
  const groups = new Map();
  for (const signal of signals) {
    const key = signal.group || "other";
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(signal);
  }
  return [...groups].sort(([a], [b]) => (a === "other") - (b === "other") || a.localeCompare(b));
}

export function openPicker(stage) {
  const dialog = el("dialog", { class: "dialog stage-picker", "aria-label": "Signals" });
  const search = el("input", { type: "search", placeholder: "Search: speed, obd, km/h …", "aria-label": "Search signals", oninput: () => list() });
  const count = el("span", { class: "hint", role: "status" });
  const body = el("div", { class: "stage-picker-list" });
  const change = (names, on) => {
    const chosen = new Set(names);
    stage.select(on ? [...stage.selected, ...names] : stage.selected.filter((name) => !chosen.has(name)));
    list();
  };
  const list = () => {
    const shown = found(stage.info.signals, search.value), on = new Set(stage.selected);
    count.textContent = `${stage.selected.length} of ${stage.info.signals.length} shown`;
    body.replaceChildren(...grouped(shown).map(([group, signals]) => {
      const names = signals.map((signal) => signal.name), isAll = names.every((name) => on.has(name));
      return el("fieldset", {}, el("legend", {}, group, " ",
        el("button", { type: "button", class: "quiet", onclick: () => change(names, !isAll) }, isAll ? "none" : "all")),
      ...signals.slice(0, 400).map((signal) => el("label", { title: signal.name },
        el("input", { type: "checkbox", checked: on.has(signal.name), onchange: (event) => toggle(signal.name, event.target) }),
        el("span", {}, signal.label), el("span", { class: "hint" }, signal.unit ? ` ${signal.unit}` : ""))));
    }));
    if (!shown.length) body.append(el("p", { class: "empty" }, "No signal has these words."));
  };
  const toggle = (name, input) => {
    stage.select(input.checked ? [...stage.selected, name] : stage.selected.filter((one) => one !== name));
    count.textContent = `${stage.selected.length} of ${stage.info.signals.length} shown`;
  };
  dialog.append(
    el("header", {}, el("h2", {}, "Signals"), el("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    el("div", { class: "bar" }, search, count,
      el("button", { type: "button", onclick: () => { stage.select(stage.usual ?? []); list(); } }, "Usual ones"),
      el("button", { type: "button", onclick: () => { stage.select([]); list(); } }, "None")),
    body, kept(stage, list));
  // Enter takes what was found, and goes.
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const names = found(stage.info.signals, search.value).map((signal) => signal.name);
    if (search.value.trim() && names.length) change(names, true);
    dialog.close();
  });
  const opener = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); opener?.isConnected && opener.focus?.({ preventScroll: true }); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  list();
  document.body.append(dialog);
  dialog.showModal();
  search.focus();
}

function kept(stage, changed) {
  const box = el("fieldset", { class: "stage-layouts" });
  const fill = () => {
    const there = layouts.all();
    box.replaceChildren(el("legend", {}, "Layouts"), ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((place) => {
      const layout = there[place];
      return el("div", { class: "stage-layout" }, el("kbd", {}, String(place)),
        layout ? el("button", { type: "button", class: "quiet", onclick: () => { layouts.load(stage, place); changed(); } }, `${layout.name} (${layout.signals?.length ?? 0})`) : el("span", { class: "hint" }, "free"),
        el("button", { type: "button", class: "quiet", "aria-label": `Keep what is shown as layout ${place}`, onclick: () => { layouts.save(stage, place); fill(); } }, "keep"),
        layout ? el("button", { type: "button", class: "quiet icon", "aria-label": `Forget layout ${place}`, onclick: () => { layouts.remove(place); fill(); } }, "✕") : "");
    }));
  };
  fill();
  return box;
}
