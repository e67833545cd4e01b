// Ticks and words of axes: time as the run's own, the wall's, or UTC.

const STEPS_S = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
  3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
];

/** Step between ticks of a time axis, so that labels are at least `apart` pixels apart. */
export function timeStep_s(length_s, width, apart = 90) {
  const least = (length_s / Math.max(width, 1)) * apart;
  return STEPS_S.find((step) => step >= least) ?? STEPS_S[STEPS_S.length - 1];
}

const two = (n) => String(n).padStart(2, "0");

/** Digits behind the second that tell a step apart. */
export function digitsOf(step_s) {
  return step_s >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step_s) - 1e-9));
}

/** Local midnight offset of an instant, in seconds. */
function zone_s(t, axis) {
  return axis === "wall" ? -new Date(t * 1000).getTimezoneOffset() * 60 : 0;
}

/** Ticks of [start, end]: [t, label]. Labels are on round times of the axis that is shown. */
export function timeTicks(start, end, width, axis, epoch_s) {
  const step = timeStep_s(end - start, width);
  const origin = axis === "sim" ? epoch_s : -zone_s(start, axis);
  const ticks = [];
  for (let k = Math.ceil((start - origin) / step - 1e-6); ticks.length < 200; k++) {
    const t = origin + k * step;
    if (t > end) break;
    ticks.push([t, clock(t, axis, epoch_s, digitsOf(step))]);
  }
  return ticks;
}

/** An instant in words. */
export function clock(t, axis, epoch_s, digits = 3) {
  if (!(t === t) || !Number.isFinite(t)) return "–";
  if (axis === "sim") return duration(t - epoch_s, digits);
  const shown = new Date((round(t, digits) + zone_s(t, axis)) * 1000);
  if (Number.isNaN(shown.getTime())) return "–";
  const part = digits ? "." + String(shown.getUTCMilliseconds()).padStart(3, "0").slice(0, digits) : "";
  return `${two(shown.getUTCHours())}:${two(shown.getUTCMinutes())}:${two(shown.getUTCSeconds())}${part}`;
}

/** The day of an instant, for what is longer than a clock. */
export function day(t, axis) {
  const shown = new Date((t + zone_s(t, axis)) * 1000);
  return Number.isNaN(shown.getTime()) ? "" : shown.toISOString().slice(0, 10);
}

const round = (x, digits) => Math.round(x * 10 ** digits) / 10 ** digits;

/** Seconds as `12.3 s`-like clock: m:ss.mmm, h:mm:ss. */
export function duration(seconds, digits = 1) {
  if (!Number.isFinite(seconds)) return "–";
  const rounded = round(Math.abs(seconds), digits);
  const sign = seconds < 0 && rounded > 0 ? "−" : "";
  const hours = Math.floor(rounded / 3600), minutes = Math.floor((rounded % 3600) / 60);
  const rest = rounded % 60;
  const text = rest.toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${sign}${hours}:${two(minutes)}:${text}` : `${sign}${minutes}:${text}`;
}

/** Seconds in the unit that fits: 350 ms, 1.25 s, 4 min. */
export function span(seconds) {
  const size = Math.abs(seconds);
  if (!Number.isFinite(size)) return "–";
  if (size < 1) return `${trimmed(seconds * 1000, 3)} ms`;
  if (size < 120) return `${trimmed(seconds, 3)} s`;
  if (size < 7200) return `${trimmed(seconds / 60, 3)} min`;
  return `${trimmed(seconds / 3600, 3)} h`;
}

/** A number with so many significant digits and no trailing zeros. */
export function trimmed(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-6) return value.toExponential(2).replace("-", "−");
  const behind = Math.min(9, Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  return minus(String(Number(value.toFixed(behind))));
}

const minus = (text) => text.replace("-", "−");

/** Digits behind the point that a sensor's resolution can tell apart. */
export function digitsOfResolution(resolution) {
  if (!(resolution > 0)) return null;
  // A step of 0.001852 needs no more digits than tell two of them apart.
  const most = Math.min(7, Math.max(0, Math.ceil(-Math.log10(resolution)) + 1));
  for (let digits = 0; digits < most; digits++) {
    const scaled = resolution * 10 ** digits;
    if (scaled > 0.5 && Math.abs(scaled - Math.round(scaled)) < 1e-6) return digits;
  }
  return most;
}

/** A value as its sensor gives it: always the same number of digits, so that it stands still. */
export function reading(value, digits) {
  if (!(value === value)) return "no number";
  if (!Number.isFinite(value)) return value > 0 ? "+∞" : "−∞";
  if (digits === null || digits === undefined) return trimmed(value, 5);
  if (Math.abs(value) >= 1e9) return trimmed(value, 5);
  return minus(value.toFixed(Math.min(digits, 7)));
}

/** Step of 1, 2 or 5 times a power of ten that cuts `span` into at most `most` parts. */
export function niceStep(span, most) {
  if (!(span > 0) || !Number.isFinite(span)) return 1;
  const raw = span / Math.max(most, 1), power = 10 ** Math.floor(Math.log10(raw));
  for (const factor of [1, 2, 5, 10]) if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

/** Round numbers within [lo, hi]. */
export function ticks(lo, hi, most) {
  const step = niceStep(hi - lo, most), found = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9 && found.length < 50; k++) {
    found.push(k * step);
  }
  return found;
}

/**
 * Range of a strip around what is seen, on round numbers.
 *
 * The range before is kept while the data fills enough of it, so that a live strip does not jump.
 */
export function rangeOf(lo, hi, before = null) {
  if (!(lo <= hi)) return before ?? { lo: 0, hi: 1 };
  if (lo === hi) {
    const room = Math.abs(lo) > 0 ? Math.abs(lo) * 0.05 : 0.5;
    lo -= room; hi += room;
  }
  if (before && lo >= before.lo && hi <= before.hi && hi - lo > (before.hi - before.lo) * 0.45) return before;
  const step = niceStep(hi - lo, 8), room = (hi - lo) * 0.04;
  return { lo: Math.floor((lo - room) / step) * step, hi: Math.ceil((hi + room) / step) * step };
}
