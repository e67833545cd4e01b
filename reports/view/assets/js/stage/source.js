// What a source of the stage is: live readings, a session of the gateway, or a run's record.
//
// js/sources/<kind>.js:   export function open(view, options) -> Source     (may be async)
// js/panels/<name>.js:    export function panel(stage, view, options) -> Panel     (may be async)
//
// Times are Unix seconds (UTC) as float64. A column is
//   {t: Float64Array ascending, v: Float32Array|Float64Array (NaN: no number),
//    s?: Uint8Array of STATES, gaps?: [[from_s, to_s], ...] that no line may cross,
//    raw?: true where nothing was left out (else the extremes of buckets), count?}
// `start_s`/`end_s` of series() may be ±Infinity: as far as there is data.
//
// Messages of subscribe():
//   {type: "readings", rows: [[name, t, v, state], ...], sent_s?, layer?}   sent_s: server's clock, for the latency
//   {type: "event", event: Event}
//   {type: "state", connection: "up|connecting|down", text?, server_now_s?}   also each heartbeat
//   {type: "stale", names: [...]}        complete list of the signals that the gateway calls stale
//   {type: "info", info: {...}}          parts of Info that have changed: signals, limits, phases, faults, end_s
//   {type: "reload", start_s?, end_s?}   columns are out of date (a hole was filled): the stage asks again
//   {type: "end", end_s?}                nothing more will come

export const STATES = ["measured", "bounded", "held", "lost"];
export const MEASURED = 0, BOUNDED = 1, HELD = 2, LOST = 3;

/** Code of a reading's state, given by name, by code or not at all. */
export function stateCode(state) {
  if (state === undefined || state === null) return MEASURED;
  if (typeof state === "number") return state >= 0 && state <= 3 ? state : MEASURED;
  const code = STATES.indexOf(state);
  return code < 0 ? MEASURED : code;
}

/** A source without data; the others say what differs. */
export class Source {
  kind = "run";
  async open() { throw new Error("expected a source that opens"); }
  async series(_names, _start_s, _end_s, _points, _layer) { return new Map(); }
  async overview() { return null; }
  async track(_start_s, _end_s, _points) { return null; }
  async events(_start_s, _end_s) { return []; }
  // Optional: async at(names, t_s, layer) -> Map(name -> {t, v, s?}), the last reading of each up to t_s; of
  // other layers than the usual one it is asked for where `hasLayersAt` is set.
  // Optional: async mark(t_s, text), keeps a note for all who look.
  subscribe(_fn) { return () => {}; }
  close() {}
}

/** Info with every field that the stage reads, whatever the source left out. */
export function completed(info) {
  const has = { truth: false, wire: false, journey: false, track: false, layers: [], ...info.has };
  return {
    id: "", title: "", kind: "run", epoch_s: null, start_s: null, end_s: null, live: false,
    phases: [], faults: [], limits: [], ...info, has,
    signals: (info.signals ?? []).map((signal) => ({
      label: signal.name, unit: "", resolution: null, group: "", default: true,
      layers: [], limits: [], ...signal,
    })),
  };
}

/** Limits that are drawn in the strip of a signal: its own, and those of the run that name it. */
export function limitsOf(info, name) {
  const signal = info.signals.find((one) => one.name === name);
  const all = [...(signal?.limits ?? []), ...info.limits.filter((one) => one.signal === name)];
  return all.filter((one, place) => all.findIndex((other) => other.id === one.id) === place);
}
