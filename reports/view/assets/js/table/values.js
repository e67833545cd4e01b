// Values of a row: found by their path, and put into words. No DOM here.

export const NONE = "–";
const FIRST_DAY_MS = 86_400_000;

// The value at a path ("body.name"; "" or ".": the row itself); undefined where there is none.
export function at(row, path) {
  if (path === "" || path === ".") return row;
  let found = row;
  for (const key of path.split(".")) {
    if (found === null || typeof found !== "object" || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

// A text with the values of a row in place of the names in braces; the first row that has one wins.
export function fill(template, ...rows) {
  return template.replace(/\{([\w.]+)\}/g, (_, path) => {
    const value = firstOf(rows, path);
    return value === undefined || value === null ? "" : String(value);
  });
}

// The same for an address: values are escaped, so that none leads elsewhere.
export function address(template, ...rows) {
  return template.replace(/\{([\w.]+)\}/g, (_, path) => {
    const value = firstOf(rows, path);
    return value === undefined || value === null ? "" : segment(String(value));
  });
}

// "." and ".." would be taken out of a path even where they are escaped.
function segment(text) {
  return text === "." || text === ".." ? "" : encodeURIComponent(text);
}

function firstOf(rows, path) {
  for (const row of rows) {
    const value = row === null || row === undefined ? undefined : at(row, path);
    if (value !== undefined) return value;
  }
  return undefined;
}

export function isNone(value) {
  return value === undefined || value === null || value === "" ||
    (typeof value === "object" && Object.keys(value).length === 0);
}

// Whether a row has the values that are asked for: {state: ["planned", ""]}; "" is none.
export function fits(row, when) {
  return Object.entries(when ?? {}).every(([path, wanted]) => {
    const value = at(row, path);
    return wanted.includes(isNone(value) ? "" : String(value));
  });
}

// Milliseconds since 1970 of an instant, whatever its kind; NaN where it is none.
export function instantMs(kind, value) {
  if (kind === "instant_ns") return Number(value) / 1e6;
  if (kind === "instant_s") return Number(value) * 1e3;
  return Date.parse(value);
}

const two = (number) => String(number).padStart(2, "0");

// "2026-01-31 14:05:09" in the reader's own time zone.
export function wall(ms) {
  const when = new Date(ms);
  if (Number.isNaN(when.getTime())) return NONE;
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  return `${day} ${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}

// "just now", "5 min ago", "in 3 h".
export function relative(ms, nowMs) {
  const seconds = (nowMs - ms) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const text = length(size);
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

// A duration with its two greatest units: "1 h 02 min", "3 min 05 s", "0.50 s".
export function length(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 0) return `−${length(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${seconds.toFixed(0)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(count) {
  if (!Number.isFinite(count)) return NONE;
  let value = count;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (Math.abs(value) < 1000 || unit === "GB") {
      return `${unit === "B" ? value : value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
    }
    value /= 1000;
  }
  return NONE;
}

// A number as people read it: grouped by thin spaces, the minus a minus.
export function number(value, digits) {
  const known = Number(value);
  if (!Number.isFinite(known)) return NONE;
  let text;
  if (digits !== undefined && digits !== null) text = known.toFixed(digits);
  else if (Number.isInteger(known)) text = String(known);
  else text = String(Number(known.toPrecision(6)));
  const [whole, fraction] = text.split(".");
  const isPlain = /^-?\d+$/.test(whole);
  const grouped = isPlain && whole.replace("-", "").length > 4
    ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  const joined = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return joined.replace(/^-/, "−");
}

// What stands in a cell: {text, title, tone, sign}; `title` is the exact value where the text is not.
export function shown(column, row, nowMs = Date.now()) {
  const value = at(row, column.key);
  if (isNone(value) && column.kind !== "sign") return { text: column.empty ?? NONE, none: true };
  switch (column.kind ?? "text") {
    case "number": return { text: number(value, column.digits), title: String(value) };
    case "flag": return value ? { text: "yes" } : { text: "no" };
    case "words": return { text: words(value) };
    case "bytes": return { text: bytes(Number(value)), title: `${value} bytes` };
    case "duration_s": return { text: length(Number(value)), title: `${value} s` };
    case "instant": case "instant_ns": case "instant_s": {
      const ms = instantMs(column.kind, value);
      if (Math.abs(ms) < FIRST_DAY_MS) return { text: column.empty ?? NONE, none: true }; // the API's never
      return { text: wall(ms), title: `${exact(ms)} · ${relative(ms, nowMs)}` };
    }
    case "sign": return signed(column, value);
    case "json": return { text: JSON.stringify(value), code: true };
    case "code": return { text: String(value), code: true };
    default: return { text: typeof value === "object" ? JSON.stringify(value) : String(value) };
  }
}

function exact(ms) {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : NONE;
}

function signed(column, value) {
  const key = isNone(value) ? "" : String(value);
  const sign = (column.signs ?? {})[key];
  if (sign === undefined) return { text: key === "" ? column.empty ?? NONE : key, none: key === "" };
  return { text: sign.word ?? key, sign: sign.sign, tone: sign.tone ?? "" };
}

function words(value) {
  return (Array.isArray(value) ? value : Object.keys(value)).map(String).join(", ");
}

// What a cell is worth in an exported file: the exact value, instants in ISO 8601.
export function plain(column, row) {
  const value = at(row, column.key);
  if (isNone(value)) return "";
  if (column.kind === "instant_ns" || column.kind === "instant_s") {
    return exact(instantMs(column.kind, value));
  }
  if (column.kind === "words") return words(value);
  return typeof value === "object" ? JSON.stringify(value) : value;
}
