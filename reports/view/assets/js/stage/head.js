// What stands above the strips: time axis, phases, faults with detection and recovery, links, events.

import { span, timeTicks } from "./scale.js";

export const AXIS = 20, PHASE = 17, FAULT = 17, LINK = 11, EVENT = 17;
const MOST_FAULT_LANES = 4, MOST_LINKS = 8;
const GLYPHS = { fault: "⚡", dtc: "◆", link: "⇄", stale: "◌", alert: "▲", note: "✎", session: "▮", phase: "▸", limit: "✗", jump: "⟲" };
const TONES = { info: "soft", warn: "warn", bad: "bad", good: "good" };

/** Which lanes there are, from top to bottom: [{kind, y, h, name, ...}]. */
export function lanesOf(info, events) {
  const lanes = [{ kind: "axis", h: AXIS, name: "" }];
  if (info.phases.length) lanes.push({ kind: "phases", h: PHASE, name: "phases" });
  for (const [place, faults] of stacked(info.faults).entries()) {
    lanes.push({ kind: "faults", h: FAULT, name: place ? "" : "faults", faults });
  }
  for (const link of linksOf(events).slice(0, MOST_LINKS)) lanes.push({ kind: "link", h: LINK, name: link, link });
  if (lanes.some((lane) => lane.kind === "link")) lanes[lanes.length - 1].last = true;
  lanes.push({ kind: "events", h: EVENT, name: "events" });
  let y = 0;
  for (const lane of lanes) { lane.y = y; y += lane.h; }
  return lanes;
}

export function linksOf(events) {
  return [...new Set(events.filter((event) => event.kind === "link" && event.link).map((event) => event.link))].sort();
}

/** Faults in as few rows as they fit without covering one another. */
export function stacked(faults) {
  const rows = [];
  const isFew = faults.length <= MOST_FAULT_LANES;
  for (const fault of [...faults].sort((a, b) => a.start_s - b.start_s)) {
    // Words stand beside the bars: while there is room, each has a row of its own.
    let row = isFew ? null : rows.find((one) => one[one.length - 1].until <= fault.start_s);
    if (!row && rows.length < MOST_FAULT_LANES) rows.push(row = []);
    row ??= rows[rows.length - 1];
    row.push({ ...fault, until: Math.max(fault.end_s ?? Infinity, fault.recovered_s ?? 0) });
  }
  return rows;
}

/** State of a link over time: [{t, end, severity, text}], each until the next. */
export function spansOfLink(events, link) {
  const found = events.filter((event) => event.kind === "link" && event.link === link).sort((a, b) => a.t - b.t);
  return found.map((event, i) => ({ ...event, end: event.end ?? found[i + 1]?.t ?? Infinity }));
}

export function drawHead(g, box, lanes, view) {
  const { start, end, theme } = view;
  const scale = box.w / (end - start);
  const X = (t) => box.x + (t - start) * scale;
  g.font = theme.font;
  for (const lane of lanes) {
    const draw = { axis: drawAxis, phases: drawPhases, faults: drawFaults, link: drawLink, events: drawEvents }[lane.kind];
    draw(g, { x: box.x, y: lane.y, w: box.w, h: lane.h }, lane, view, X);
  }
}

function drawAxis(g, box, _lane, { start, end, theme, axis, epoch_s }) {
  g.textAlign = "center";
  const scale = box.w / (end - start);
  for (const [t, label] of timeTicks(start, end, box.w, axis, epoch_s)) {
    const x = box.x + (t - start) * scale;
    g.fillStyle = theme.rule;
    g.fillRect(Math.round(x), box.y + box.h - 4, 1, 4);
    g.fillStyle = theme.soft;
    const half = g.measureText(label).width / 2;
    g.fillText(label, Math.min(Math.max(x, box.x + half), box.x + box.w - half), box.y + 12);
  }
}

function drawPhases(g, box, _lane, { start, end, theme, info }, X) {
  info.phases.forEach((phase, i) => {
    const to = phase.end_s ?? end;
    if (to < start || phase.start_s > end) return;
    const x = Math.max(box.x, X(phase.start_s)), w = Math.min(box.x + box.w, X(to)) - x;
    g.fillStyle = i % 2 ? theme.phaseB : theme.phaseA;
    g.fillRect(x, box.y + 1, Math.max(w, 1), box.h - 2);
    g.fillStyle = theme.ink;
    text(g, phase.name, x + 5, box.y + 12, w - 8);
  });
}

/** Text that is cut off where there is no room. */
function text(g, words, x, y, room) {
  if (room < 14) return;
  g.textAlign = "left";
  if (g.measureText(words).width <= room) { g.fillText(words, x, y); return; }
  let length = Math.floor((words.length * room) / g.measureText(words).width) - 1;
  for (; length > 1; length--) {
    const cut = words.slice(0, length) + "…";
    if (g.measureText(cut).width <= room) { g.fillText(cut, x, y); return; }
  }
}

function drawFaults(g, box, lane, { start, end, theme, last_s }, X) {
  for (const fault of lane.faults) {
    const to = fault.end_s ?? last_s ?? end;
    const latest = Math.max(to, fault.recovered_s ?? to);
    if (latest < start || fault.start_s > end) continue;
    const x = Math.max(box.x, X(fault.start_s)), right = Math.min(box.x + box.w, X(to));
    g.fillStyle = theme.fault;
    g.globalAlpha = 0.28;
    g.fillRect(x, box.y + 2, Math.max(right - x, 2), box.h - 5);
    g.globalAlpha = 1;
    if (fault.start_s >= start) g.fillRect(Math.round(X(fault.start_s)), box.y + 1, 2, box.h - 3);
    const seen = instant(g, box, fault, fault.detected_s, "detected", theme, X, fault.recovered_s);
    const back = instant(g, box, fault, fault.recovered_s, "recovered", theme, X);
    name(g, box, fault, x, Math.min(right, seen ?? right, back ?? right), theme);
  }
}

/** The name in its bar, or left of it where the bar is too short. */
function name(g, box, fault, x, right, theme) {
  const width = g.measureText(fault.name).width;
  g.fillStyle = theme.ink;
  g.textAlign = "left";
  if (right - x - 8 >= width || x - box.x < width + 8) text(g, fault.name, x + 5, box.y + 12, right - x - 8);
  else g.fillText(fault.name, x - width - 6, box.y + 12);
}

/** An arrow from the fault's beginning (or end) to when it was noticed (or over), in red if that was late. */
function instant(g, box, fault, at, what, theme, X, next = null) {
  if (at === null || at === undefined) return null;
  const from = what === "detected" ? fault.start_s : fault.end_s ?? fault.start_s;
  const required = requiredOf(fault, what);
  const late = required !== null && at - from > required;
  const x = X(at), begin = Math.max(X(from), box.x);
  if (x < box.x || x > box.x + box.w) return null;
  const y = box.y + box.h - 2;
  g.fillStyle = g.strokeStyle = late ? theme.bad : what === "detected" ? theme.ink : theme.good;
  g.lineWidth = 1.2;
  g.beginPath();
  g.moveTo(begin, y - 0.5); g.lineTo(x, y - 0.5);
  g.stroke();
  g.beginPath();
  g.moveTo(x, y + 1); g.lineTo(x - 4, y - 5); g.lineTo(x + 4, y - 5);
  g.fill();
  g.fillRect(Math.round(x), box.y + 2, 1, box.h - 5);
  const words = `${what === "detected" ? "seen" : "back"} ${span(at - from)}${late ? ` ✗ > ${span(required)}` : ""}`;
  const width = g.measureText(words).width;
  const room = next === null || next === undefined ? box.x + box.w : Math.min(X(next) - 4, box.x + box.w);
  if (x + 5 + width < room) {
    g.fillStyle = late ? theme.bad : theme.ink;
    g.textAlign = "left";
    g.fillText(words, x + 5, box.y + 12);
  }
  return x;
}

/** What the requirement says of detection or recovery, in seconds; null where it says nothing. */
export function requiredOf(fault, what) {
  const required = fault.required_s;
  if (required === null || required === undefined) return null;
  if (typeof required === "number") return what === "recovered" ? required : null;
  return required[what] ?? null;
}

function drawLink(g, box, lane, { start, end, theme, events, last_s }, X) {
  for (const piece of spansOfLink(events, lane.link)) {
    const to = Math.min(piece.end, last_s === last_s ? Math.max(last_s, piece.t) : end);
    if (to < start || piece.t > end) continue;
    const x = Math.max(box.x, X(piece.t)), w = Math.max(Math.min(box.x + box.w, X(to)) - x, 1);
    const tone = piece.severity;
    g.fillStyle = tone === "good" ? theme.good : tone === "bad" ? theme.bad : tone === "warn" ? theme.warn : theme.stale;
    // Height says it too: up is thin, down is thick.
    if (tone === "bad") g.fillRect(x, box.y + 1, w, box.h - 2);
    else if (tone === "warn") g.fillRect(x, box.y + 2, w, box.h - 5);
    else g.fillRect(x, box.y + box.h / 2 - 1, w, 2);
  }
}

function drawEvents(g, box, _lane, { start, end, theme, events }, X) {
  g.textAlign = "center";
  let last = -Infinity;
  for (const event of events) {
    if (event.kind === "link" && event.severity === "good") continue;
    if (event.t < start || event.t > end) continue;
    const x = X(event.t);
    g.fillStyle = theme[TONES[event.severity] ?? "soft"];
    g.fillRect(Math.round(x), box.y + box.h - 4, 1, 4);
    if (x - last < 9) continue;
    g.fillText(GLYPHS[event.kind] ?? "•", x, box.y + 11);
    last = x;
  }
}

/** What lies under a point of the head: {event}, {fault}, {phase}, {link}, or null. */
export function under(lanes, y, t, perPixel_s, { info, events }) {
  const lane = lanes.find((one) => y >= one.y && y < one.y + one.h);
  if (!lane) return null;
  const near = perPixel_s * 6;
  if (lane.kind === "events") {
    let best = null;
    for (const event of events) {
      const away = Math.abs(event.t - t);
      if (away <= near && (!best || away < Math.abs(best.t - t))) best = event;
    }
    return best && { event: best };
  }
  if (lane.kind === "faults") {
    const fault = lane.faults.find((one) => t >= one.start_s - near && t <= Math.min(one.until, 1e12) + near);
    return fault ? { fault } : null;
  }
  if (lane.kind === "phases") {
    const phase = info.phases.find((one) => t >= one.start_s && t <= (one.end_s ?? Infinity));
    return phase ? { phase } : null;
  }
  if (lane.kind === "link") {
    const piece = spansOfLink(events, lane.link).find((one) => t >= one.t - near && t <= one.end + near);
    return piece ? { event: piece } : null;
  }
  return null;
}
