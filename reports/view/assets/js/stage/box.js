// Small boxes over the stage: a limit with its line in the file, an event, a fault.

import { el } from "../words.js";
import { requiredOf } from "./head.js";
import { boundsText, marginText, outcomeOf } from "./limits.js";
import { span, trimmed } from "./scale.js";

/** Open a box near an element or a point; it closes by itself when something else is pressed. */
export function openBox(stage, near, title, ...content) {
  closeBox(stage);
  const opener = document.activeElement;
  const box = el("div", { class: "stage-box", role: "dialog", "aria-label": title, tabindex: "-1" },
    el("header", {}, el("strong", {}, title),
      el("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: () => closeBox(stage) }, "✕")),
    ...content);
  stage.element.append(box);
  const place = near instanceof Element ? near.getBoundingClientRect() : { left: near.x, bottom: near.y, top: near.y };
  const frame = stage.element.getBoundingClientRect();
  const width = box.offsetWidth, height = box.offsetHeight;
  const left = Math.min(Math.max(place.left - frame.left, 4), Math.max(frame.width - width - 4, 4));
  const below = place.bottom - frame.top + 4;
  const fits = below + height < frame.height || place.top - frame.top < height;
  box.style.left = `${left}px`;
  box.style.top = `${fits ? below : place.top - frame.top - height - 4}px`;
  const away = (event) => { if (!box.contains(event.target)) closeBox(stage); };
  document.addEventListener("pointerdown", away, true);
  stage._box = { box, opener, away };
  box.focus({ preventScroll: true });
  return box;
}

export function closeBox(stage) {
  const open = stage._box;
  if (!open) return false;
  stage._box = null;
  document.removeEventListener("pointerdown", open.away, true);
  const hadFocus = open.box.contains(document.activeElement);
  open.box.remove();
  if (hadFocus && open.opener?.isConnected) open.opener.focus({ preventScroll: true });
  return true;
}

function facts(pairs) {
  return el("dl", { class: "stage-facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

export function showLimit(stage, limit, near) {
  if (!limit) return;
  const { sign, word, tone } = outcomeOf(limit);
  const unit = limit.unit ? ` ${limit.unit}` : "";
  const where = limit.file ? `${limit.file}${limit.line ? `:${limit.line}` : ""}` : "";
  const all = stage.strips.find((strip) => strip.limits.includes(limit))?.limits ?? [limit];
  const content = [
    el("p", { class: `tone-${tone} stage-outcome` }, el("b", {}, sign), ` ${word}`),
    where || limit.text ? el("figure", { class: "stage-source" },
      el("figcaption", {}, el("span", { class: "mono" }, where || "limit"),
        el("button", { type: "button", class: "quiet", onclick: (event) => copy(event.currentTarget, where || limit.text) }, "Copy")),
      el("pre", {}, limit.line ? `${limit.line}  ${limit.text ?? ""}` : limit.text ?? "")) : null,
    facts([
      ["bounds", boundsText(limit)],
      ["warns at", [limit.warn_min, limit.warn_max].filter((x) => x !== null && x !== undefined).map((x) => trimmed(x) + unit).join(", ")],
      ["measured", limit.value === null || limit.value === undefined ? "not measured" : trimmed(limit.value, 5) + unit],
      ["margin", marginText(limit)],
      ["holds", Number.isFinite(limit.start_s) ? `${stage.clock(limit.start_s, 1)} – ${stage.clock(limit.end_s ?? stage.time.last_s, 1)}` : "the whole run"],
    ]),
    Number.isFinite(limit.start_s) ? el("button", { type: "button", onclick: () => stage.time.window(limit.start_s, limit.end_s ?? stage.time.last_s) }, "Show this time") : null,
    ...others(stage, all, limit, near),
  ];
  openBox(stage, near, limit.name ?? "Limit", ...content.filter(Boolean));
}

function others(stage, all, limit, near) {
  if (all.length < 2) return [];
  return [el("p", { class: "hint" }, "Also asserted here:"), el("ul", { class: "stage-others" }, ...all.filter((one) => one !== limit).map((one) => {
    const { sign, tone } = outcomeOf(one);
    return el("li", {}, el("button", { type: "button", class: `quiet tone-${tone}`, onclick: () => showLimit(stage, one, near) },
      el("b", {}, sign), ` ${one.text ?? one.name} ${marginText(one)}`));
  }))];
}

export function showFault(stage, fault, near) {
  const line = (what, at, from) => {
    if (at === null || at === undefined) return "not seen";
    const required = requiredOf(fault, what), took = at - from;
    if (required === null) return `after ${span(took)}`;
    return `${took > required ? "✗" : "✓"} after ${span(took)}, required ≤ ${span(required)}`;
  };
  openBox(stage, near, `Fault ${fault.name}`, facts([
    ["kind", fault.kind], ["link", fault.link],
    ["begins", stage.clock(fault.start_s)], ["ends", fault.end_s === null || fault.end_s === undefined ? "not yet" : `${stage.clock(fault.end_s)} (${span(fault.end_s - fault.start_s)})`],
    ["detected", line("detected", fault.detected_s, fault.start_s)],
    ["recovered", line("recovered", fault.recovered_s, fault.end_s ?? fault.start_s)],
    ["", fault.text],
  ]));
}

export function showEvent(stage, event, near) {
  openBox(stage, near, `${event.kind}${event.link ? ` · ${event.link}` : ""}`, el("p", {}, event.text ?? ""), facts([
    ["at", stage.clock(event.t)], ["for", Number.isFinite(event.end) ? span(event.end - event.t) : null], ["signal", event.signal],
  ]));
}

export async function copy(button, words) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(words);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it to copy";
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}
