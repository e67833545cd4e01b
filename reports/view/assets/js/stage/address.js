// The address of a stage: what it shows as a query, and back.

import { format, parse } from "./url.js";

/** Show what an address says. */
export function fromAddress(stage, query) {
  const asked = parse(query), { time, epoch_s } = stage;
  const changes = {};
  if (asked.axis) changes.axis = asked.axis;
  if (asked.speed) changes.speed = asked.speed;
  if (asked.loop) changes.loop = asked.loop.map((x) => x + epoch_s);
  if (asked.t2 !== undefined) changes.t2 = asked.t2 + epoch_s;
  if (asked.t !== undefined) changes.t = asked.t + epoch_s;
  if (asked.win) [changes.start, changes.end] = asked.win.map((x) => x + epoch_s);
  else if (asked.length_s && changes.t !== undefined) {
    changes.start = changes.t - asked.length_s / 2;
    changes.end = changes.t + asked.length_s / 2;
  } else if (asked.length_s) {
    if (time.mode === "following") changes.start = time.end - asked.length_s;
    else changes.end = time.start + asked.length_s;
  }
  if (time.mode === "following" && (changes.t !== undefined || asked.win)) changes.mode = "paused";
  if (changes.mode === "paused" && changes.start !== undefined) changes.first_s = Math.min(time.first_s, changes.start);
  time.set(changes);
  stage.cmp = asked.cmp ?? null;
  if (asked.layers) stage.layers = new Set(asked.layers);
  if (asked.sig) {
    stage.isChosen = true;
    stage.selected = asked.sig;
  }
}

/** The query of what is shown; keys of others in `query` are kept. */
export function toAddress(stage, query) {
  const { time } = stage, following = time.mode === "following";
  const isWhole = time.start === time.first_s && time.end === time.last_s;
  return format({
    epoch_s: stage.epoch_s, t: following || (isWhole && time.t === stage.begun) ? NaN : time.t, t2: time.t2,
    win: following || isWhole ? null : [time.start, time.end], length_s: following ? time.length_s : NaN,
    sig: same(stage.selected, stage.usual) ? null : stage.selected, cmp: stage.cmp, axis: time.axis, usualAxis: stage.usualAxis,
    layers: [...stage.layers], loop: time.loop, speed: time.speed,
  }, query);
}

export const same = (a, b) => Boolean(a && b) && a.length === b.length && a.every((one, i) => one === b[i]);
