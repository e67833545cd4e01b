// Where two recordings part: traces byte by byte, signals by a step of their sensor.

import { trimmed } from "../stage/scale.js";
import { wordsOf } from "../words.js";
import { firstBeyond } from "./difference.js";

/** @returns {Promise<{text, at, rows: [string, string] | null}>} `at`: on the axis; NaN where they do not part */
export async function traceDivergence(api, a, b) {
  if (a.kind !== "run" || b.kind !== "run") return { text: "", at: NaN, rows: null };
  let answer;
  try {
    answer = await api.get(`/api/runs/${encodeURIComponent(a.name)}/divergence`, { against: b.name });
  } catch (error) {
    return { text: `Where the traces part cannot be told: ${wordsOf(error)[1]}`, at: NaN, rows: null };
  }
  if (!answer.differs) return { text: "The traces are equal, byte by byte.", at: NaN, rows: null };
  return {
    text: `The traces part in ${answer.stream}, row ${answer.row}, ${answer.where}.`,
    at: a.axis.x(answer.time_ns / 1e9), rows: [answer.first ?? "nothing", answer.second ?? "nothing"],
  };
}

/** The first of the rows that differs by more than a step: {text, at}. */
export function signalDivergence(rows, unit, isPart = false) {
  const where = isPart ? " within this part" : "";
  if (!rows.some((row) => row.d.v.some(Number.isFinite))) return { text: `Nowhere${where} do both have readings at once.`, at: NaN };
  const firsts = rows.map((row) => [firstBeyond(row.d, row.resolution), row.name]).filter(([x]) => Number.isFinite(x)).sort((one, other) => one[0] - other[0]);
  if (!firsts.length) return { text: `No signal that is shown differs by more than a step of its sensor${where}.`, at: NaN };
  const [at, name] = firsts[0];
  return { text: `Of the signals shown, ${name} is the first to differ by more than a step${where}: at ${trimmed(at, 5)} ${unit}.`, at };
}
