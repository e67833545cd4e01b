// The address of a view: run, time, window, signals and comparison, so that a reload gives it back.

/** Query keys of the stage; others belong to somebody else and stay. */
const KEYS = ["t", "t2", "win", "sig", "cmp", "axis", "layers", "loop", "speed", "strips"];

const number = (text) => (text === null || text.trim() === "" ? NaN : Number(text));
const fixed = (x) => String(Number(x.toFixed(3)));

/** What a query says: only what is there and makes sense. */
export function parse(query) {
  const asked = new URLSearchParams(query), found = {};
  for (const key of ["t", "t2"]) {
    const value = number(asked.get(key));
    if (Number.isFinite(value)) found[key] = value;
  }
  const win = (asked.get("win") ?? "").split(",").map(number);
  if (win.length === 2 && win.every(Number.isFinite) && win[1] > win[0]) found.win = win;
  else if (win.length === 1 && win[0] > 0 && Number.isFinite(win[0])) found.length_s = win[0];
  const loop = (asked.get("loop") ?? "").split(",").map(number);
  if (loop.length === 2 && loop.every(Number.isFinite) && loop[1] > loop[0]) found.loop = loop;
  if (asked.has("sig")) found.sig = asked.get("sig").split(",").filter(Boolean).slice(0, 500);
  if (asked.get("cmp")) found.cmp = asked.get("cmp");
  if (["sim", "wall", "utc"].includes(asked.get("axis"))) found.axis = asked.get("axis");
  if (asked.has("layers")) found.layers = asked.get("layers").split(",").filter(Boolean);
  const speed = number(asked.get("speed"));
  if (speed >= 0.1 && speed <= 20) found.speed = speed;
  return found;
}

/** Query of a view, relative to `epoch_s`; keys of others are kept. */
export function format(view, query = "") {
  const kept = new URLSearchParams(query);
  for (const key of KEYS) kept.delete(key);
  const said = [...kept.entries()].map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`);
  const put = (key, text) => said.push(`${key}=${text}`);
  if (Number.isFinite(view.t)) put("t", fixed(view.t - view.epoch_s));
  if (Number.isFinite(view.t2)) put("t2", fixed(view.t2 - view.epoch_s));
  if (view.win) put("win", `${fixed(view.win[0] - view.epoch_s)},${fixed(view.win[1] - view.epoch_s)}`);
  else if (view.length_s > 0) put("win", fixed(view.length_s));
  if (view.sig) put("sig", view.sig.map(encodeURIComponent).join(","));
  if (view.cmp) put("cmp", encodeURIComponent(view.cmp));
  if (view.axis && view.axis !== view.usualAxis) put("axis", view.axis);
  if (view.layers?.length) put("layers", view.layers.map(encodeURIComponent).join(","));
  if (view.loop) put("loop", view.loop.map((x) => fixed(x - view.epoch_s)).join(","));
  if (view.speed && view.speed !== 1) put("speed", fixed(view.speed));
  return said.length ? `?${said.join("&")}` : "";
}
