// Cells: a value as an element, with its sign, its exact value, its link.

import { el } from "../words.js";
import { address, at, isNone, shown } from "./values.js";

/** The content of a cell. */
export function cellOf(column, row, vars = {}) {
  const { text, title, tone, sign, code, none } = shown(column, row);
  let made;
  if (sign) {
    made = el("span", { class: `sign ${tone ? `${tone}` : ""}`.trim() }, el("span", { "aria-hidden": "true" }, sign), " ", text);
  } else {
    made = el(code ? "code" : "span", { title, class: none ? "none" : null }, text);
  }
  if (column.link && !isNone(at(row, column.key))) {
    return el("a", { href: address(column.link, row, vars) }, made);
  }
  return made;
}

export const NUMERIC = new Set(["number", "bytes", "duration_s"]);
