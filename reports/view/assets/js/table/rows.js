// Which rows of a listing are shown, in which order, and as which file. No DOM here.

import { at, fits, instantMs, isNone, plain, shown } from "./values.js";

const INSTANTS = ["instant", "instant_ns", "instant_s"];

// The rows that pass: filters of what is loaded, and each word of the search in some column.
export function passing(listing, rows, { filters = {}, search = "" } = {}) {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  const own = (listing.filters ?? []).filter((one) => one.of_rows && filters[one.name]);
  return rows.filter((row) =>
    own.every((one) => keeps(one, filters[one.name], at(row, one.name))) &&
    (wanted.length === 0 || holds(listing, row, wanted)));
}

function keeps(filter, wanted, value) {
  if (filter.kind === "text") return String(value ?? "").toLowerCase().includes(wanted.toLowerCase());
  return String(value ?? "") === wanted;
}

function holds(listing, row, wanted) {
  const text = listing.columns
    .map((column) => `${shown(column, row).text} ${plain(column, row)}`)
    .join("\n").toLowerCase();
  return wanted.every((word) => text.includes(word));
}

// Rows by a column; those without a value stand last, those of `first` on top, whatever the order.
export function sorted(listing, rows, sort) {
  const isDown = sort.startsWith("-");
  const key = isDown ? sort.slice(1) : sort;
  const column = listing.columns.find((one) => one.key === key);
  const factor = isDown ? -1 : 1;
  const order = (left, right) => {
    const top = isFirst(listing, right) - isFirst(listing, left);
    if (top !== 0 || column === undefined) return top;
    const a = worth(column, left), b = worth(column, right);
    if (a === null || b === null) return (a === null) - (b === null);
    return factor * compare(a, b);
  };
  return [...rows].sort(order);  // stable: what is equal keeps the API's order
}

function isFirst(listing, row) {
  const first = listing.first ?? {};
  return Object.keys(first).length > 0 && fits(row, first) ? 1 : 0;
}

function worth(column, row) {
  const value = at(row, column.key);
  if (isNone(value)) return null;
  if (INSTANTS.includes(column.kind)) return instantMs(column.kind, value);
  if (typeof value === "object") return plain(column, row);
  return typeof value === "boolean" ? Number(value) : value;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return collator.compare(String(a), String(b));
}

// Rows as CSV (RFC 4180), a column for each of the listing's; the key comes first where none shows it.
export function csv(listing, rows) {
  const columns = exported(listing);
  const lines = [columns.map((column) => cell(heading(column)))];
  for (const row of rows) lines.push(columns.map((column) => cell(plain(column, row))));
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function heading(column) {
  return column.unit ? `${column.label} (${column.unit})` : column.label;
}

function exported(listing) {
  const key = listing.key ?? "id";
  const isShown = listing.columns.some((column) => column.key === key);
  return isShown ? listing.columns : [{ key, label: key }, ...listing.columns];
}

// A spreadsheet would compute what begins with these signs; numbers are left alone.
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function json(rows) {
  return JSON.stringify(rows, null, 1) + "\n";
}

// What an answer has of rows at a path; [] where it has none.
export function rowsOf(answer, path) {
  const found = at(answer, path ?? "");
  return Array.isArray(found) ? found : [];
}
