// Ground: metres east and north of a first fix, the view onto them, and what is near. No DOM here.

const A = 6378137, E2 = 6.69437999014e-3; // WGS 84
const RAD = Math.PI / 180;

/** A plane that touches the ellipsoid at a place: a few centimetres off within kilometres. */
export class Plane {
  constructor(lat, lon) {
    this.lat = lat;
    this.lon = lon;
    const s = Math.sin(lat * RAD), w = 1 - E2 * s * s;
    this.north_m = (RAD * A * (1 - E2)) / (w * Math.sqrt(w));
    this.east_m = (RAD * A * Math.cos(lat * RAD)) / Math.sqrt(w);
  }

  x(lon) { return turn(lon - this.lon) * this.east_m; }
  y(lat) { return (lat - this.lat) * this.north_m; }
  latOf(y) { return this.lat + y / this.north_m; }
  lonOf(x) { return turn(this.lon + x / this.east_m); }
}

/** Degrees within ±180: a track may cross the date line. */
function turn(degrees) { return degrees - 360 * Math.round(degrees / 360); }

export function isFix(lat, lon) {
  return Number.isFinite(lat) && Number.isFinite(lon) && Math.abs(lat) <= 90 && Math.abs(lon) <= 180;
}

/**
 * The box around points [x…], [y…]; places that are far away from the others (a receiver that says
 * 0, 0) are left out and counted.
 */
export function boxOf(xs, ys, count = xs.length) {
  const seenX = sortedPart(xs, count), seenY = sortedPart(ys, count);
  if (!seenX.length) return null;
  const spread = (sorted) => {
    const low = sorted[Math.floor(sorted.length * 0.05)], high = sorted[Math.floor((sorted.length - 1) * 0.95)];
    const room = Math.max(5000, 5 * (high - low));
    return [low - room, high + room];
  };
  const [x0, x1] = spread(seenX), [y0, y1] = spread(seenY);
  const box = { x0: Infinity, x1: -Infinity, y0: Infinity, y1: -Infinity, left: 0 };
  for (let i = 0; i < count; i++) {
    const x = xs[i], y = ys[i];
    if (!(x === x) || !(y === y)) continue;
    if (x < x0 || x > x1 || y < y0 || y > y1) { box.left++; continue; }
    if (x < box.x0) box.x0 = x;
    if (x > box.x1) box.x1 = x;
    if (y < box.y0) box.y0 = y;
    if (y > box.y1) box.y1 = y;
  }
  return box.x0 <= box.x1 ? box : null;
}

function sortedPart(values, count) {
  const stride = Math.max(1, Math.floor(count / 500)), found = [];
  for (let i = 0; i < count; i += stride) if (values[i] === values[i]) found.push(values[i]);
  return found.sort((a, b) => a - b);
}

/** Where metres are on the screen: the middle of the view, and pixels a metre. North is up. */
export class Sight {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    this.w = 1;
    this.h = 1;
  }

  X(x) { return this.w / 2 + (x - this.x) * this.scale; }
  Y(y) { return this.h / 2 - (y - this.y) * this.scale; }
  xAt(X) { return this.x + (X - this.w / 2) / this.scale; }
  yAt(Y) { return this.y - (Y - this.h / 2) / this.scale; }

  /** Show a box; `below` it room is left for the scale. */
  fit(box, margin = 24, below = 0) {
    const w = Math.max(box.x1 - box.x0, 20), h = Math.max(box.y1 - box.y0, 20);
    this.scale = Math.min(Math.max(this.w - 2 * margin, 20) / w, Math.max(this.h - 2 * margin - below, 20) / h);
    this.x = (box.x0 + box.x1) / 2;
    this.y = (box.y0 + box.y1) / 2 - below / 2 / this.scale;
  }

  /** Zoom with a point of the screen staying in its place. */
  zoom(factor, X = this.w / 2, Y = this.h / 2) {
    const x = this.xAt(X), y = this.yAt(Y);
    this.scale = Math.min(Math.max(this.scale * factor, 1e-5), 200);
    this.x = x - (X - this.w / 2) / this.scale;
    this.y = y + (Y - this.h / 2) / this.scale;
  }

  pan(dX, dY) {
    this.x -= dX / this.scale;
    this.y += dY / this.scale;
  }
}

/** Place of the point nearest to (X, Y) on the screen, within so many pixels; -1 without one. */
export function nearest(track, sight, X, Y, within = 16) {
  let best = within * within, found = -1;
  for (let i = 0; i < track.count; i++) {
    const dx = sight.X(track.x[i]) - X, dy = sight.Y(track.y[i]) - Y, away = dx * dx + dy * dy;
    if (away <= best) { best = away; found = i; }
  }
  return found;
}

/** Colours from dark to light that everybody can tell apart (cividis), for a part of 0 to 1. */
const STOPS = [[0, 34, 78], [42, 63, 109], [87, 92, 109], [125, 124, 120], [166, 157, 117], [211, 193, 100], [254, 232, 56]];
export function ramp(part) {
  const at = Math.min(Math.max(part, 0), 1) * (STOPS.length - 1), i = Math.min(Math.floor(at), STOPS.length - 2);
  const mix = (k) => Math.round(STOPS[i][k] + (STOPS[i + 1][k] - STOPS[i][k]) * (at - i));
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}

/** An angle with its hemisphere: 48.123456° N. */
export function degrees(value, isLat) {
  const side = isLat ? (value < 0 ? "S" : "N") : value < 0 ? "W" : "E";
  return `${Math.abs(value).toFixed(6)}° ${side}`;
}

/** Metres with the side they lie on: "41 m W". */
export function aside(value, isNorth) {
  const side = isNorth ? (value < 0 ? "S" : "N") : value < 0 ? "W" : "E";
  return `${metres(Math.abs(value))} ${side}`;
}

export function metres(value) {
  const size = Math.abs(value);
  if (size >= 100000) return `${Math.round(value / 1000)} km`;
  if (size >= 1000) return `${(value / 1000).toFixed(2)} km`;
  return `${size < 10 ? value.toFixed(1) : Math.round(value)} m`;
}
