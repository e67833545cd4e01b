// Below the figure: how far the signals are apart, and the limits of both.

import { boundsText, outcomeOf } from "../stage/limits.js";
import { trimmed } from "../stage/scale.js";
import { el } from "../words.js";
import { figures } from "./difference.js";

const number = (text) => el("td", { class: "number" }, text);
const valueOf = (limit) => (isNumber(limit?.value) ? trimmed(limit.value, 4) : "–");
const isNumber = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** @param {[{name, unit, d}]} rows @param unit of the axis */
export function differencesTable(rows, unit) {
  return tableOf("Differences", "first − second, of what is shown", ["signal", "greatest", "at", "RMS", "compared at"], rows.map((row) => {
    const found = figures(row.d), of = row.unit ? ` ${row.unit}` : "";
    if (!found.count) return [row.name, el("td", { colSpan: 4 }, "nothing in common here")];
    const isSame = found.most === 0;
    return [row.name, number(isSame ? "none" : trimmed(found.most, 4) + of), number(isSame ? "" : `${trimmed(found.at, 5)} ${unit}`),
      number(isSame ? "" : trimmed(found.rms, 4) + of), number(`${found.count} places`)];
  }));
}

/** Pairs of limits of one measure, phase and place among those: [[limit of a or null, limit of b or null], ...]. */
export function pairedLimits(a, b) {
  const pairs = new Map();
  for (const [side, limits] of [a, b].entries()) {
    const seen = new Map();
    for (const limit of limits) {
      const name = `${limit.name} ${limit.phase ?? ""}`, nth = seen.get(name) ?? 0, key = `${name} ${nth}`;
      seen.set(name, nth + 1);
      if (!pairs.has(key)) pairs.set(key, [null, null]);
      pairs.get(key)[side] = limit;
    }
  }
  return [...pairs.values()];
}

export function limitsTable(a, b) {
  const pairs = pairedLimits(a, b);
  if (!pairs.length) return null;
  return tableOf("Limits of both", "", ["limit", "bound", "first", "its verdict", "second", "its verdict", "change"], pairs.map(([first, second]) => {
    const one = first ?? second, change = isNumber(first?.value) && isNumber(second?.value) ? second.value - first.value : NaN;
    const bounds = [...new Set([first, second].filter(Boolean).map(boundsText))].join(" / ");
    return [[one.name, one.phase ? el("small", {}, ` ${one.phase}`) : ""], el("td", {}, bounds), number(valueOf(first)), verdict(first), number(valueOf(second)), verdict(second),
      number(Number.isNaN(change) ? "" : change === 0 ? "none" : (change > 0 ? "+" : "") + trimmed(change, 3))];
  }));
}

function verdict(limit) {
  if (!limit) return el("td", { class: "tone-quiet" }, "not there");
  const { sign, word, tone } = outcomeOf(limit);
  return el("td", { class: `tone-${tone}` }, `${sign} ${word}`);
}

function tableOf(title, more, heads, rows) {
  const RIGHT = new Set(["greatest", "at", "RMS", "compared at", "first", "second", "change"]);
  return el("section", { class: "box" }, el("h2", {}, title, more ? el("small", {}, ` ${more}`) : ""),
    el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": title }, el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col", class: RIGHT.has(head) ? "number" : "" }, head)))),
      el("tbody", {}, ...rows.map(([head, ...cells]) => el("tr", {}, el("th", { scope: "row" }, head), ...cells))))));
}
