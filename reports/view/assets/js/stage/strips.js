// Strips: lines of all layers, limits with the time in which they hold, states, gaps, what is stale.

import { lowerBound } from "./columns.js";
import { Thinning, extremes, trace } from "./envelope.js";
import { activeIn, broken, isShown, spansOf } from "./limits.js";
import { rangeOf, ticks, trimmed } from "./scale.js";
import { BOUNDED, HELD, LOST } from "./source.js";

/** A step this many times the usual one is a gap. */
const GAP_STEPS = 6, LEAST_GAP_S = 0.5;
const PAD = 4;

/**
 * Draw one strip.
 *
 * `box` {x, y, w, h} in CSS pixels; `strip` {name, lines: [{layer, column, step_s, look}], limits, range,
 * colour, stale}; `view` {start, end, theme, isLit}. The range is kept in `strip.range`.
 */
export function drawStrip(g, box, strip, view) {
  const { start, end, theme } = view;
  const scale = box.w / (end - start);
  const range = strip.range = rangeFor(strip, start, end);
  const top = box.y + PAD, height = box.h - 2 * PAD;
  const perUnit = height / (range.hi - range.lo);
  const Y = (v) => top + (range.hi - v) * perUnit;
  const X = (t) => box.x + (t - start) * scale;
  drawTicks(g, box, range, Y, theme);
  for (const limit of strip.limits) if (activeIn(limit, start, end)) drawLimit(g, box, limit, X, Y, view, range);
  let points = 0;
  for (const line of strip.lines) points += drawLine(g, box, line, strip, view, scale, Y);
  const shown = strip.lines[strip.lines.length - 1];
  if (shown) for (const limit of strip.limits) drawBroken(g, box, limit, shown, view, X, Y, scale);
  if (shown) drawLost(g, box, shown.column, view, X);
  drawNumbers(g, box, range, Y, theme);
  return points;
}

/** Range of what is seen, with the limits that are near it. */
export function rangeFor(strip, start, end) {
  let lo = Infinity, hi = -Infinity;
  for (const { column } of strip.lines) {
    const found = extremes(column, start, end);
    if (found.lo < lo) lo = found.lo;
    if (found.hi > hi) hi = found.hi;
  }
  if (lo > hi) {
    for (const limit of strip.limits) for (const v of [limit.min, limit.max]) {
      if (v === null || v === undefined) continue;
      lo = Math.min(lo, v); hi = Math.max(hi, v);
    }
    return rangeOf(lo, hi, strip.range);
  }
  const near = Math.max(hi - lo, Math.abs(hi) * 0.1, 1e-9) * 1.5;
  for (const limit of strip.limits) {
    if (!activeIn(limit, start, end)) continue;
    for (const v of [limit.min, limit.max, limit.warn_min, limit.warn_max]) {
      if (v === null || v === undefined || v !== v) continue;
      if (v < lo && lo - v <= near) lo = v;
      if (v > hi && v - hi <= near) hi = v;
    }
  }
  return rangeOf(lo, hi, strip.range);
}

function drawTicks(g, box, range, Y, theme) {
  const found = ticks(range.lo, range.hi, Math.max(1, Math.floor(box.h / 20)));
  g.fillStyle = theme.grid;
  for (const v of found) g.fillRect(box.x, Math.round(Y(v)), box.w, 1);
}

/** Numbers of the axis, over the lines and readable there. */
function drawNumbers(g, box, range, Y, theme) {
  if (box.h < 30) return;
  g.textAlign = "left";
  for (const v of ticks(range.lo, range.hi, Math.max(1, Math.floor(box.h / 20)))) {
    const y = Y(v);
    if (y < box.y + 9 || y > box.y + box.h - 1) continue;
    const words = trimmed(v);
    g.fillStyle = theme.paper;
    g.globalAlpha = 0.75;
    g.fillRect(box.x + 1, y - 11, words.length * 6.5 + 3, 10);
    g.globalAlpha = 1;
    g.fillStyle = theme.faint;
    g.fillText(words, box.x + 3, y - 2);
  }
}

function drawLimit(g, box, limit, X, Y, view, range) {
  const { theme } = view;
  for (const span of spansOf(limit)) drawSpan(g, box, limit, span, X, Y, theme, range);
}

function drawSpan(g, box, limit, span, X, Y, theme, range) {
  const from = Math.max(box.x, X(span[0])), to = Math.min(box.x + box.w, X(span[1]));
  const width = to - from;
  if (!(width > 0)) return;
  const bottom = box.y + box.h;
  const side = (value, isMax) => {
    if (value === null || value === undefined) return;
    const y = Math.min(Math.max(Y(value), box.y), bottom);
    const height = isMax ? y - box.y : bottom - y;
    if (height > 0.5) {
      g.fillStyle = theme.forbidden;
      g.fillRect(from, isMax ? box.y : y, width, height);
    }
    if (value < range.lo || value > range.hi) {
      // Far away: an arrow says where it is, the line would flatten what is seen.
      g.fillStyle = theme.soft;
      g.textAlign = "right";
      g.fillText(`${isMax ? "↑" : "↓"} ${trimmed(value)}`, to - 4, isMax ? box.y + 11 : bottom - 4);
      return;
    }
    g.fillStyle = theme.bad;
    g.fillRect(from, Math.round(y) - (isMax ? 0 : 1), width, 1);
    // Where it begins and ends, within what is seen.
    for (const edge of span) {
      const x = X(edge);
      if (x >= box.x && x <= box.x + box.w) g.fillRect(Math.round(x), isMax ? y : y - 5, 1, 5);
    }
  };
  side(limit.max, true);
  side(limit.min, false);
  g.strokeStyle = theme.warn;
  g.lineWidth = 1;
  g.setLineDash([4, 3]);
  for (const value of [limit.warn_min, limit.warn_max]) {
    if (value === null || value === undefined || value < range.lo || value > range.hi) continue;
    const y = Math.round(Y(value)) + 0.5;
    g.beginPath(); g.moveTo(from, y); g.lineTo(to, y); g.stroke();
  }
  g.setLineDash([]);
}

/** Looks of layers: what truly was lies under, what is stored on top. */
const LOOKS = {
  truth: { width: 4, colour: "truth", alpha: 0.9 },
  wire: { width: 1, colour: "wire", dash: [2, 2] },
  reported: { width: 1.4 },
  stored: { width: 1.2, colour: "stored", dash: [1, 3], dots: true },
};

export function longestStep_s(step_s) { return Math.max(LEAST_GAP_S, step_s * GAP_STEPS); }

/** The longest step that a line may bridge; extremes of buckets lie further apart than readings. */
function longestOf({ column, step_s }, { start, end }, box) {
  const usual_s = longestStep_s(step_s);
  return column.raw ? usual_s : Math.max(usual_s, (end - start) / box.w * 3);
}

function drawLine(g, box, line, strip, view, scale, Y) {
  const { theme, start, end } = view;
  const look = LOOKS[line.layer] ?? {};
  const isStale = strip.stale && line.layer !== "truth";
  g.strokeStyle = g.fillStyle = isStale ? theme.stale : look.colour ? theme[look.colour] : strip.colour;
  g.lineWidth = (look.width ?? 1.4) + (strip.isLit ? 0.8 : 0);
  g.globalAlpha = look.alpha ?? 1;
  g.lineJoin = "bevel";
  const { column } = line;
  const longest = longestOf(line, view, box);
  const stroke = (what, dash) => {
    g.setLineDash(dash);
    const points = drawCourse(g, box, what, view, scale, Y, longest);
    g.setLineDash([]);
    return points;
  };
  const parts = column.s ? statesApart(column, start, end) : null;
  let points = 0;
  if (parts?.bounded) {
    // A pale band: the value lies somewhere in it.
    const width = g.lineWidth;
    g.lineWidth = 10;
    g.globalAlpha = 0.2;
    points += stroke(parts.bounded, []);
    g.lineWidth = width;
    g.globalAlpha = look.alpha ?? 1;
  }
  points += stroke(parts?.sure ?? column, look.dash ?? []);
  if (parts?.held) points += stroke(parts.held, [3, 3]);
  if (look.dots) drawDots(g, box, column, view, scale, Y);
  g.globalAlpha = 1;
  return points;
}

function drawCourse(g, box, column, { start, end }, scale, Y, longest) {
  // Beyond this a line would leave its strip.
  const low = box.y - 2, high = box.y + box.h + 2;
  const clip = (y) => (y < low ? low : y > high ? high : y);
  const dots = [];
  let last = null;
  g.beginPath();
  const thin = new Thinning((x, y) => g.moveTo(x, y), (x, y) => g.lineTo(x, y));
  trace(column, start, end, scale, longest, {
    move(x, v) {
      const y = clip(Y(v));
      // A reading alone between two gaps is a dot.
      if (last !== null) dots.push(last);
      last = [box.x + x, y];
      thin.move(box.x + x, y);
    },
    line(x, v) { thin.line(box.x + x, clip(Y(v))); last = null; },
  });
  thin.end();
  if (last !== null) dots.push(last);
  g.stroke();
  for (const [x, y] of dots) g.fillRect(x - 1.5, y - 1.5, 3, 3);
  return thin.points;
}

/**
 * A column taken apart by how its values came to be: {sure, held, bounded}, or null where all were measured.
 *
 * What does not belong to a part is lost in it; the reading before a held one belongs to it, so that lines meet.
 */
export function statesApart(column, start, end) {
  const { s } = column;
  const from = Math.max(0, lowerBound(column.t, start) - 1), to = Math.min(column.t.length, lowerBound(column.t, end) + 1);
  let hasHeld = false, hasBounded = false;
  for (let i = from; i < to; i++) {
    if (s[i] === HELD) hasHeld = true;
    else if (s[i] === BOUNDED) hasBounded = true;
  }
  if (!hasHeld && !hasBounded) return null;
  const part = (wanted, joins) => {
    const marks = new Uint8Array(to - from).fill(LOST);
    for (let i = from; i < to; i++) {
      if (!wanted(s[i])) continue;
      marks[i - from] = 0;
      if (joins && i > from && s[i - 1] !== LOST) marks[i - from - 1] = 0;
    }
    return { ...column, t: column.t.subarray(from, to), v: column.v.subarray(from, to), s: marks };
  };
  return {
    sure: hasHeld ? part((state) => state !== HELD && state !== LOST, false) : null,
    held: hasHeld ? part((state) => state === HELD, true) : null,
    bounded: hasBounded ? part((state) => state === BOUNDED, true) : null,
  };
}

function drawDots(g, box, column, { start, end }, scale, Y) {
  const from = lowerBound(column.t, start), to = lowerBound(column.t, end);
  if (to - from > box.w / 5) return;
  for (let i = from; i < to; i++) {
    const y = Y(column.v[i]);
    if (y === y) { g.beginPath(); g.arc(box.x + (column.t[i] - start) * scale, y, 2.5, 0, 7); g.stroke(); }
  }
}

/** Where readings are known to be lost: hatched at the foot. */
function drawLost(g, box, column, { start, end, theme }, X) {
  const { t, s, gaps } = column;
  g.fillStyle = theme.hatch(g);
  if (gaps) {
    for (const [from, to] of gaps) {
      if (to < start || from > end) continue;
      const x = Math.max(X(from), box.x), right = Math.min(X(to), box.x + box.w);
      if (right - x > 1) g.fillRect(x, box.y + box.h - 7, right - x, 6);
    }
  }
  if (!s) return;
  for (let i = lowerBound(t, start); i < t.length && t[i] <= end; i++) {
    if (s[i] !== 3) continue;
    const x = X(t[i]), next = i + 1 < t.length ? X(t[i + 1]) : x + 2;
    g.fillRect(x, box.y + box.h - 7, Math.max(2, Math.min(next, box.x + box.w) - x), 6);
  }
}

function drawBroken(g, box, limit, line, view, X, Y, scale) {
  if (!isShown(limit)) return;
  const { start, end, theme } = view, { column } = line;
  const spans = broken(limit, column, start, end);
  if (!spans.length) return;
  g.strokeStyle = theme.bad;
  g.fillStyle = theme.bad;
  g.lineWidth = 2.2;
  // Only what is beyond the limit is red: the line is drawn again, cut off at the limit.
  g.save();
  g.beginPath();
  for (const [from, to] of spansOf(limit)) {
    const x = Math.max(X(from), box.x), width = Math.min(X(to), box.x + box.w) - x;
    if (!(width > 0)) continue;
    if (limit.max !== null && limit.max !== undefined) g.rect(x, box.y, width, Math.max(0, Y(limit.max) - box.y));
    if (limit.min !== null && limit.min !== undefined) {
      const y = Math.max(box.y, Y(limit.min));
      g.rect(x, y, width, Math.max(0, box.y + box.h - y));
    }
  }
  g.clip();
  drawCourse(g, box, column, view, scale, Y, longestOf(line, view, box));
  g.restore();
  // And a mark at the foot, for what is too short to be seen, and for who does not see red.
  let drawn = -Infinity;
  for (const [from, to] of spans) {
    const at = Math.max(X(from), box.x), wide = Math.max(2, X(to) - at);
    if (at + wide < drawn + 1) continue;
    g.fillRect(at, box.y + box.h - 3, wide, 3);
    drawn = at + wide;
    if (wide < 12) continue;
    g.beginPath(); g.moveTo(at, box.y + box.h - 3); g.lineTo(at + 4, box.y + box.h - 9); g.lineTo(at + 8, box.y + box.h - 3);
    g.fill();
  }
}
