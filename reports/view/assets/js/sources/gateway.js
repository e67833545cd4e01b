// What the sources of a gateway (live, session) have in common: its answers as columns and events.

import { EMPTY } from "../stage/columns.js";

const SIGNALS_A_QUESTION = 60;
const MOST_POINTS = 20000;
/** A fix is this far off for each unit of its dilution, about: a plain receiver under open sky. */
export const METRES_A_DILUTION = 4;
export const TRACK = ["LAT", "LON"];

/** A range for a query, in nanoseconds: its end belongs to it. Microseconds are what a float has. */
export function range(start_s, end_s) {
  const query = {};
  if (Number.isFinite(start_s)) query.start_ns = `${Math.max(0, Math.floor(start_s * 1e6))}000`;
  if (Number.isFinite(end_s)) query.end_ns = `${Math.max(0, Math.ceil(end_s * 1e6) + 1)}000`;
  return query;
}

/** A line of the API as a column. */
export function column(line) {
  const count = line.times_ns.length;
  const t = new Float64Array(count), v = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    t[i] = line.times_ns[i] / 1e9;
    const value = line.values[i];
    v[i] = value === null ? NaN : value;
  }
  const raw = line.resolution_s === null && line.count <= count;
  return { t, v, raw, count: line.count, resolution_s: line.resolution_s ?? undefined };
}

/** Lines of several signals; those without readings are empty columns. */
export async function series(api, path, names, start_s, end_s, points) {
  const found = new Map(names.map((name) => [name, EMPTY]));
  const query = range(start_s, end_s);
  if (points) query.points = Math.min(Math.max(Math.ceil(points), 2), MOST_POINTS);
  const parts = [];
  for (let i = 0; i < names.length; i += SIGNALS_A_QUESTION) {
    const signal = names.slice(i, i + SIGNALS_A_QUESTION).join(",");
    parts.push(api.get(path, { ...query, signal }));
  }
  for (const answer of await Promise.all(parts)) {
    for (const line of answer.series) if (found.has(line.signal)) found.set(line.signal, column(line));
  }
  return found;
}

/** Latitude and longitude as one line; where their instants differ, the other one is interpolated. */
export function joined(lat, lon) {
  const t = merged(lat.t, lon.t);
  return { t, lat: sampled(lat, t), lon: sampled(lon, t) };
}

function merged(a, b) {
  const all = new Float64Array(a.length + b.length);
  let count = 0, i = 0, j = 0;
  while (i < a.length || j < b.length) {
    const x = i < a.length ? a[i] : Infinity, y = j < b.length ? b[j] : Infinity;
    all[count++] = Math.min(x, y);
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return all.slice(0, count);
}

/** A column at these instants, NaN outside of it. */
export function sampled(from, t) {
  const values = new Float64Array(t.length);
  let j = 0;
  for (let i = 0; i < t.length; i++) {
    while (j < from.t.length && from.t[j] < t[i]) j++;
    if (j < from.t.length && from.t[j] === t[i]) { values[i] = from.v[j]; continue; }
    if (j === 0 || j === from.t.length) { values[i] = NaN; continue; }
    const part = (t[i] - from.t[j - 1]) / (from.t[j] - from.t[j - 1]);
    values[i] = from.v[j - 1] + part * (from.v[j] - from.v[j - 1]);
  }
  return values;
}

/** Where it was, from lines of LAT, LON and perhaps HDOP; null without a fix. */
export function trackOf(lines) {
  const lat = lines.get("LAT") ?? EMPTY, lon = lines.get("LON") ?? EMPTY;
  if (!lat.t.length || !lon.t.length) return null;
  const reported = joined(lat, lon);
  const hdop = lines.get("HDOP");
  if (hdop?.t.length) reported.error_m = sampled(hdop, reported.t).map((d) => d * METRES_A_DILUTION);
  return { reported, raw: Boolean(lat.raw && lon.raw) };
}

/** Signals for Info, by id, from the catalogue and names that have readings. */
export function signalsOf(catalogue, names, prefix = "") {
  const known = new Map(catalogue.map((signal) => [signal.name, signal]));
  return [...names].map((name) => {
    const signal = known.get(name);
    return {
      name: prefix + name,
      label: prefix + readable(name),
      unit: signal?.unit ?? "",
      resolution: signal?.resolution ?? null,
      group: groupOf(signal?.source ?? ""),
      default: !(name in HIDDEN),
      layers: [],
      limits: [],
    };
  });
}

const HIDDEN = { LAT: 1, LON: 1, RUN_TIME: 1, SATS: 1, HDOP: 1 };
const SHORT = { RPM: "RPM", MAF: "MAF", GPS: "GPS", HDOP: "HDOP", SATS: "Satellites", LAT: "Latitude",
  LON: "Longitude", ALT: "Altitude", EGR: "EGR", DTC: "DTC", MIL: "MIL", TEMP: "temperature",
  POS: "position", SNR: "SNR", RSSI: "RSSI" };

/** A short name in words: COOLANT_TEMP -> Coolant temperature. Names of other forms stay. */
export function readable(name) {
  if (!/^[A-Z][A-Z0-9_]*$/.test(name)) return name;
  const words = name.split("_").map((word) => SHORT[word] ?? word.toLowerCase());
  const text = words.join(" ");
  return text[0].toUpperCase() + text.slice(1);
}

/** The kind of link that a signal comes from: "obd:010C" -> "obd". */
export function groupOf(source) { return source.split(":")[0]; }

/** Rules of alerts as limits of the strips that they watch. */
export function limitsOfRules(rules, device) {
  const limits = [];
  for (const { id, body } of rules) {
    if (body.kind !== "value" || body.enabled === false || typeof body.threshold !== "number") continue;
    if (body.device && body.device !== device) continue;
    const isMost = ["gt", "ge", ">", ">="].includes(body.condition);
    const isLeast = ["lt", "le", "<", "<="].includes(body.condition);
    if (!isMost && !isLeast) continue;
    limits.push({
      id: `rule-${id}`, name: body.name, signal: String(body.signal), outcome: "unset",
      text: `${body.name}: alert at ${body.signal} ${isMost ? ">" : "<"} ${body.threshold}`,
      unit: "", [isMost ? "max" : "min"]: body.threshold,
    });
  }
  return limits;
}

const SEVERITY = { info: "info", warning: "warn", critical: "bad" };

/** An alert as an event. */
export function alertEvent(alert) {
  const isOver = alert.ended_ns !== null && alert.ended_ns !== undefined;
  const value = alert.value === null || alert.value === undefined ? "" : ` (${alert.value})`;
  return {
    t: alert.fired_ns / 1e9,
    end: isOver ? alert.ended_ns / 1e9 : undefined,
    kind: "alert",
    severity: SEVERITY[alert.severity] ?? "warn",
    text: `${alert.name}: ${alert.condition || alert.signal}${value}`,
    signal: alert.signal || undefined,
    id: `alert-${alert.id}`,
  };
}

/** Alerts, sessions and commands of a device between two instants; what may not be asked is left out. */
export async function events(api, device, start_s, end_s) {
  const query = { ...range(start_s, end_s), device, limit: 500 };
  const [alerts, sessions] = await Promise.all([
    quietly(api.get("/api/v1/alerts", query)),
    quietly(api.get("/api/v1/sessions", query)),
  ]);
  const found = (alerts?.alerts ?? []).map(alertEvent);
  for (const session of sessions?.sessions ?? []) {
    if (session.kind === "manual" && session.opened_ns !== null) found.push(...sessionEvents(session));
  }
  return found.sort((a, b) => a.t - b.t);
}

function sessionEvents(session) {
  const name = session.name || `Session ${session.id}`;
  const found = [{ t: session.opened_ns / 1e9, kind: "session", severity: "info", text: `${name} started` }];
  if (session.closed_ns !== null) {
    found.push({ t: session.closed_ns / 1e9, kind: "session", severity: "info", text: `${name} ended` });
  }
  return found;
}

/** What a promise becomes; null where it fails: that part is not shown. */
export async function quietly(promise) {
  try {
    return await promise;
  } catch {
    return null;
  }
}

/** The last reading of each signal up to an instant, exact: from a short time before it, then a longer one. */
export async function lastReadings(api, path, names, t_s) {
  const found = new Map();
  for (const back_s of [3, 120]) {
    const left = names.filter((name) => !found.has(name));
    if (!left.length) break;
    const lines = await series(api, path, left, t_s - back_s, t_s, MOST_POINTS);
    for (const [name, line] of lines) {
      const last = line.t.length - 1;
      if (last >= 0) found.set(name, { t: line.t[last], v: line.v[last] });
    }
  }
  return found;
}

/** The signal that tells most of a drive, of those that there are. */
export function mainSignal(names) {
  const has = new Set(names);
  return ["SPEED", "GPS_SPEED", "RPM", "BATTERY_POWER"].find((name) => has.has(name)) ?? [...has][0] ?? null;
}
