// A running scenario in words: where it is in its steps, and how its limits stand.

import { boundsText, marginText, outcomeOf } from "../stage/limits.js";
import { trimmed } from "../stage/scale.js";

/** Steps at an instant: [{name, length_s, state: "done"|"now"|"next", share}]. */
export function stepsAt(phases, t) {
  return phases.map(({ name, start_s, end_s }) => {
    const share = end_s > start_s ? Math.min(1, Math.max(0, (t - start_s) / (end_s - start_s))) : Number(t >= start_s);
    return { name, length_s: end_s - start_s, share, state: !(t >= start_s) ? "next" : t >= end_s ? "done" : "now" };
  });
}

/** Measures that mean nothing before a run has ended (reports/runs/limits.py). */
const AT_THE_END = /^(readings|gateway|log|rig|store|ingest)\./;

/** How a limit stands at `t`: {sign, word, tone, bound, value, margin}; of one under way, what it would be now. */
export function standing(limit, t) {
  const has = limit.value !== null && limit.value !== undefined && Number.isFinite(limit.value);
  const value = has ? `${trimmed(limit.value, 4)}${limit.unit ? ` ${limit.unit}` : ""}` : "";
  const found = { ...outcomeOf(limit), value, margin: marginText(limit), bound: boundsText(limit) };
  if (limit.outcome !== "running") return found;
  const waits = (sign, word) => ({ ...found, sign, word, tone: "quiet", value: "", margin: "" });
  if (limit.after || AT_THE_END.test(limit.name)) return waits("○", "at the end");
  if (t < limit.start_s) return waits("○", "not begun");
  if (!has) return waits("…", "no value yet");
  return limit.margin_pct < 0 ? { ...found, sign: "▲", word: "beyond so far", tone: "warn" } : { ...found, word: "kept so far", tone: "quiet" };
}

/** "2 fail, 1 beyond so far, 9 kept so far": the worst first. */
export function summary(limits, t) {
  const counts = new Map(), order = ["fail", "not measured", "marginal", "beyond so far", "pass", "kept so far", "no value yet", "not begun", "at the end", "skipped"];
  for (const limit of limits) { const { word } = standing(limit, t); counts.set(word, (counts.get(word) ?? 0) + 1); }
  return [...counts].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0])).map(([word, n]) => `${n} ${word}`).join(", ");
}
