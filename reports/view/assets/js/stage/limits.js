// Limits as the scenario asserted them: their margin, where they are broken, how they are signed.

import { lowerBound } from "./columns.js";
import { trimmed } from "./scale.js";

/** Sign and word of an outcome; colour is never the only difference. */
export const OUTCOMES = {
  pass: { sign: "✓", word: "pass", tone: "good" },
  marginal: { sign: "!", word: "marginal", tone: "warn" },
  fail: { sign: "✗", word: "fail", tone: "bad" },
  unset: { sign: "?", word: "not measured", tone: "bad" },
  skipped: { sign: "–", word: "skipped", tone: "quiet" },
  unjudged: { sign: "○", word: "not judged", tone: "quiet" },
  running: { sign: "…", word: "running", tone: "quiet" },
};

const WORST = ["fail", "unset", "marginal", "unjudged", "running", "pass", "skipped"];

export function outcomeOf(limit) { return OUTCOMES[limit.outcome] ?? OUTCOMES.running; }

/** The limit that a reader has to see first. */
export function worst(limits) {
  return [...limits].sort((a, b) =>
    WORST.indexOf(a.outcome ?? "running") - WORST.indexOf(b.outcome ?? "running")
    || (a.margin_pct ?? Infinity) - (b.margin_pct ?? Infinity))[0] ?? null;
}

const given = (x) => x !== null && x !== undefined && x === x;

/** True where a value breaks the limit. */
export function breaks(limit, value) {
  return (given(limit.max) && value > limit.max) || (given(limit.min) && value < limit.min);
}

/** Spans in which a limit holds: [[from, to], ...]; its own pieces where faults are left out of it. */
export function spansOf(limit) {
  if (limit.spans?.length) return limit.spans;
  return [[given(limit.start_s) ? limit.start_s : -Infinity, given(limit.end_s) ? limit.end_s : Infinity]];
}

/** True where the limit holds somewhere in the window. */
export function activeIn(limit, start_s, end_s) {
  return spansOf(limit).some(([from, to]) => from < end_s && to > start_s);
}

/** True where the limit holds at an instant. */
export function holdsAt(limit, t) { return spansOf(limit).some(([from, to]) => from <= t && t <= to); }

/** Room to the limit as a part of it, of one value: negative beyond. */
export function marginOf(limit, value) {
  const rooms = [];
  if (given(limit.max)) rooms.push((limit.max - value) / (Math.abs(limit.max) || 1));
  if (given(limit.min)) rooms.push((value - limit.min) / (Math.abs(limit.min) || 1));
  return rooms.length ? Math.min(...rooms) * 100 : NaN;
}

/** `+12 %`, `−3 %`, or nothing. */
export function marginText(limit) {
  const margin = limit.margin_pct;
  if (!given(margin) || !Number.isFinite(margin)) return "";
  const text = trimmed(Math.abs(margin), Math.abs(margin) < 10 ? 2 : 3);
  return `${margin < 0 ? "−" : "+"}${text} %`;
}

/** `3 .. 5 ms`, `<= 50 ms`, `>= 3`. */
export function boundsText(limit) {
  const unit = limit.unit ? ` ${limit.unit}` : "";
  if (given(limit.min) && given(limit.max)) {
    if (limit.min === limit.max) return `= ${trimmed(limit.min)}${unit}`;
    return `${trimmed(limit.min)} … ${trimmed(limit.max)}${unit}`;
  }
  if (given(limit.max)) return `≤ ${trimmed(limit.max)}${unit}`;
  if (given(limit.min)) return `≥ ${trimmed(limit.min)}${unit}`;
  return limit.text ?? "";
}

/** Limits of single values can be seen broken; those of a percentile or a count cannot. */
export function isOfValues(limit) {
  if (limit.each !== undefined) return Boolean(limit.each);
  return !/\.(p\d+|mean|rms|count|median|total|ratio|share)$/.test(limit.name ?? "");
}

/** Values beyond it are shown as broken: of each value, or of a figure that was not kept. */
export function isShown(limit) { return isOfValues(limit) || limit.outcome === "fail"; }

/** Spans within the window in which a column is beyond a limit while it holds: [[from, to], ...]. */
export function broken(limit, column, start_s, end_s) {
  const found = [];
  for (const [from, to] of spansOf(limit)) brokenWithin(limit, column, Math.max(start_s, from), Math.min(end_s, to), found);
  return found;
}

function brokenWithin(limit, { t, v, s }, from, to, spans) {
  if (!(from < to)) return;
  let begun = NaN, last = NaN;
  for (let i = lowerBound(t, from); i < t.length && t[i] <= to; i++) {
    const bad = !(s && s[i] === 3) && breaks(limit, v[i]);
    if (bad && begun !== begun) begun = t[i];
    if (!bad && begun === begun) { spans.push([begun, last]); begun = NaN; }
    last = t[i];
  }
  if (begun === begun) spans.push([begun, last]);
}
