// The map's drawing: grid, track, truth, colours of a signal, marker, scale, north.

import { niceStep } from "../stage/scale.js";
import { metres, ramp } from "./ground.js";

const WIDE = 2.5;

export function grid(g, sight, theme) {
  const step = niceStep(Math.max(sight.w, sight.h) / sight.scale, 8);
  g.strokeStyle = theme.grid;
  g.lineWidth = 1;
  g.beginPath();
  for (let x = Math.ceil(sight.xAt(0) / step) * step; x <= sight.xAt(sight.w); x += step) {
    const X = Math.round(sight.X(x)) + 0.5;
    g.moveTo(X, 0); g.lineTo(X, sight.h);
  }
  for (let y = Math.ceil(sight.yAt(sight.h) / step) * step; y <= sight.yAt(0); y += step) {
    const Y = Math.round(sight.Y(y)) + 0.5;
    g.moveTo(0, Y); g.lineTo(sight.w, Y);
  }
  g.stroke();
}

/** The part of a line between two instants; points that fall onto one pixel are drawn once. */
export function line(g, track, sight, { from_s = -Infinity, to_s = Infinity, colour, width = WIDE, dash = [] }) {
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.lineJoin = g.lineCap = "round";
  g.setLineDash(dash);
  g.beginPath();
  const longest_s = track.longest_s;
  let isOpen = false, lastX = NaN, lastY = NaN, drawn = 0;
  for (let i = 0; i < track.count; i++) {
    const t = track.t[i];
    if (t < from_s || !(track.x[i] === track.x[i])) { isOpen = false; continue; }
    if (t > to_s) break;
    const X = sight.X(track.x[i]), Y = sight.Y(track.y[i]);
    if (isOpen && t - track.t[i - 1] > longest_s) isOpen = false;
    if (isOpen && Math.abs(X - lastX) < 0.7 && Math.abs(Y - lastY) < 0.7) continue;
    if (isOpen) g.lineTo(X, Y); else g.moveTo(X, Y);
    isOpen = true; lastX = X; lastY = Y; drawn++;
  }
  g.stroke();
  g.setLineDash([]);
  return drawn;
}

/** The line in the colours of a signal: {t, v, low, high}. */
export function coloured(g, track, sight, signal, { from_s = -Infinity, to_s = Infinity, theme }) {
  // The ends of the ramp are near to the paper, dark or light: a rim keeps them visible.
  line(g, track, sight, { from_s, to_s, colour: theme.soft, width: WIDE + 3 });
  g.lineWidth = WIDE + 1;
  g.lineCap = "round";
  const longest_s = track.longest_s, span = signal.high - signal.low || 1;
  let j = 0;
  for (let i = 1; i < track.count; i++) {
    const t = track.t[i];
    if (t < from_s || t > to_s || t - track.t[i - 1] > longest_s) continue;
    while (j + 1 < signal.t.length && signal.t[j + 1] <= t) j++;
    const v = signal.t.length && signal.t[j] <= t ? signal.v[j] : NaN;
    g.strokeStyle = v === v ? ramp((v - signal.low) / span) : theme.stale;
    g.beginPath();
    g.moveTo(sight.X(track.x[i - 1]), sight.Y(track.y[i - 1]));
    g.lineTo(sight.X(track.x[i]), sight.Y(track.y[i]));
    g.stroke();
  }
}

export function marker(g, sight, place, theme, { isStale = false, heading = NaN } = {}) {
  const X = sight.X(place.x), Y = sight.Y(place.y);
  if (place.error_m > 0) {
    const r = Math.max(place.error_m * sight.scale, 0);
    if (r > 3) {
      g.beginPath();
      g.arc(X, Y, r, 0, 2 * Math.PI);
      g.globalAlpha = 0.16; g.fillStyle = theme.lit || theme.ink; g.fill();
      g.globalAlpha = 0.7; g.strokeStyle = theme.soft; g.lineWidth = 1; g.stroke();
      g.globalAlpha = 1;
    }
  }
  g.fillStyle = isStale ? theme.stale : theme.bad;
  g.strokeStyle = theme.paper;
  g.lineWidth = 2;
  g.beginPath();
  if (heading === heading) {
    const at = (angle, r) => [X + Math.sin(heading + angle) * r, Y - Math.cos(heading + angle) * r];
    g.moveTo(...at(0, 10)); g.lineTo(...at(2.5, 8)); g.lineTo(...at(Math.PI, 3)); g.lineTo(...at(-2.5, 8));
    g.closePath();
  } else {
    g.arc(X, Y, 5.5, 0, 2 * Math.PI);
  }
  g.fill();
  g.stroke();
}

/** Scale bar and north arrow, in the corner below. */
export function furniture(g, sight, theme) {
  const length_m = niceStep((0.6 * Math.min(sight.w, 260)) / sight.scale, 2), length = length_m * sight.scale;
  const x = 10, y = sight.h - 12;
  g.fillStyle = theme.paper;
  g.globalAlpha = 0.75;
  g.fillRect(x - 4, y - 18, length + 8, 26);
  g.globalAlpha = 1;
  g.strokeStyle = g.fillStyle = theme.ink;
  g.lineWidth = 1.5;
  g.beginPath();
  g.moveTo(x, y - 4); g.lineTo(x, y); g.lineTo(x + length, y); g.lineTo(x + length, y - 4);
  g.stroke();
  g.textAlign = "left";
  g.fillText(metres(length_m), x + 2, y - 6);
  const X = sight.w - 16, Y = 12;
  g.beginPath();
  g.moveTo(X, Y - 7); g.lineTo(X - 5, Y + 6); g.lineTo(X, Y + 3); g.lineTo(X + 5, Y + 6);
  g.closePath();
  g.fill();
  g.textAlign = "center";
  g.fillText("N", X, Y + 18);
}

/** The colours' meaning, above the scale bar. */
export function legend(g, sight, signal, theme) {
  const w = 110, x = sight.w - w - 10, y = sight.h - 24;
  g.globalAlpha = 0.8; g.fillStyle = theme.paper;
  g.fillRect(x - 5, y - 15, w + 10, 36);
  g.globalAlpha = 1;
  for (let i = 0; i < w; i++) { g.fillStyle = ramp(i / w); g.fillRect(x + i, y, 1, 6); }
  g.fillStyle = theme.ink;
  g.textAlign = "left";
  g.fillText(signal.words, x, y - 4, w);
  g.fillText(String(Number(signal.low.toPrecision(4))), x, y + 17);
  g.textAlign = "right";
  g.fillText(String(Number(signal.high.toPrecision(4))), x + w, y + 17);
}
