// The whole of a recording in one line: overview, events, verdicts; the window is a handle in it.

import { lowerBound } from "./columns.js";
import { timeTicks } from "./scale.js";

export const HEIGHT = 52;
const GRIP = 7;

export function drawScrubber(g, box, view) {
  const { theme, first_s, last_s } = view;
  const length = last_s - first_s;
  g.fillStyle = theme.paper;
  g.fillRect(box.x, box.y, box.w, box.h);
  if (!(length > 0)) return;
  const scale = box.w / length, X = (t) => box.x + (t - first_s) * scale;
  view.info.phases.forEach((phase, i) => {
    const to = phase.end_s ?? last_s;
    g.fillStyle = i % 2 ? theme.phaseB : theme.phaseA;
    g.fillRect(X(phase.start_s), box.y + 14, (to - phase.start_s) * scale, box.h - 18);
  });
  drawAxis(g, box, view);
  if (view.overview?.series) drawLine(g, box, view.overview.series, view, scale);
  drawMarks(g, box, view, X);
  const a = Math.max(box.x, X(view.start)), b = Math.min(box.x + box.w, X(view.end));
  // What is not seen is veiled.
  g.fillStyle = theme.paper;
  g.globalAlpha = 0.62;
  g.fillRect(box.x, box.y + 14, a - box.x, box.h - 14);
  g.fillRect(b, box.y + 14, box.x + box.w - b, box.h - 14);
  g.globalAlpha = 1;
  if (view.loop) {
    g.fillStyle = theme.loop;
    g.fillRect(X(view.loop[0]), box.y + box.h - 5, Math.max(2, X(view.loop[1]) - X(view.loop[0])), 5);
  }
  g.strokeStyle = theme.cursor;
  g.lineWidth = 1;
  g.strokeRect(Math.round(a) + 0.5, box.y + 14.5, Math.max(Math.round(b - a) - 1, 2), box.h - 16);
  g.fillStyle = theme.cursor;
  for (const x of [a, b]) g.fillRect(Math.round(x) - 2, box.y + box.h / 2, 4, 12);
  if (view.t === view.t) g.fillRect(Math.round(X(view.t)) - 1, box.y + 10, 2, box.h - 10);
}

function drawAxis(g, box, { first_s, last_s, axis, epoch_s, theme }) {
  g.font = theme.font;
  g.textAlign = "center";
  g.fillStyle = theme.faint;
  const scale = box.w / (last_s - first_s);
  for (const [t, label] of timeTicks(first_s, last_s, box.w, axis, epoch_s)) {
    const x = box.x + (t - first_s) * scale, half = g.measureText(label).width / 2;
    if (x - half >= box.x && x + half <= box.x + box.w) g.fillText(label, x, box.y + 10);
  }
}

function drawLine(g, box, { t, v }, { first_s, theme }, scale) {
  let lo = Infinity, hi = -Infinity;
  for (const y of v) { if (y < lo) lo = y; if (y > hi) hi = y; }
  if (!(hi >= lo)) return;
  const top = box.y + 18, height = box.h - 26, per = height / (hi - lo || 1);
  g.strokeStyle = theme.faint;
  g.lineWidth = 1;
  g.beginPath();
  let open = false;
  for (let i = lowerBound(t, first_s); i < t.length; i++) {
    if (v[i] !== v[i]) { open = false; continue; }
    const x = box.x + (t[i] - first_s) * scale, y = top + (hi - v[i]) * per;
    if (open) g.lineTo(x, y); else g.moveTo(x, y);
    open = true;
  }
  g.stroke();
}

function drawMarks(g, box, view, X) {
  const { theme, info, events, last_s } = view;
  for (const fault of info.faults) {
    g.fillStyle = theme.fault;
    g.fillRect(X(fault.start_s), box.y + 14, Math.max(2, X(fault.end_s ?? last_s) - X(fault.start_s)), 3);
  }
  // Verdicts: a line at the foot for each limit that is not kept, in the time in which it holds.
  for (const limit of view.limits) {
    if (limit.outcome !== "fail" && limit.outcome !== "marginal") continue;
    g.fillStyle = limit.outcome === "fail" ? theme.bad : theme.warn;
    const from = X(limit.start_s ?? view.first_s), to = X(limit.end_s ?? last_s);
    g.fillRect(from, box.y + box.h - (limit.outcome === "fail" ? 4 : 3), Math.max(2, to - from), limit.outcome === "fail" ? 4 : 2);
  }
  for (const event of events) {
    if (event.severity !== "bad" && event.severity !== "warn" && event.kind !== "note") continue;
    g.fillStyle = event.severity === "bad" ? theme.bad : event.severity === "warn" ? theme.warn : theme.soft;
    g.fillRect(Math.round(X(event.t)), box.y + 17, 1, event.severity === "bad" ? 12 : 7);
  }
}

/** What a press at `x` takes hold of: "start", "end", "window" or "seek". */
export function grip(x, box, { first_s, last_s, start, end }) {
  const scale = box.w / (last_s - first_s), X = (t) => box.x + (t - first_s) * scale;
  const a = X(start), b = X(end);
  if (Math.abs(x - a) <= GRIP && x < a + Math.max(4, (b - a) / 3)) return "start";
  if (Math.abs(x - b) <= GRIP) return "end";
  if (x > a && x < b && b - a < box.w - 4) return "window";
  return "seek";
}
