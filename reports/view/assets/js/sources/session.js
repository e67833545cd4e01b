// A session of a gateway as a source of the stage; one that still runs grows.

import { ApiError } from "../api.js";
import { Source } from "../stage/source.js";
import { events, lastReadings, mainSignal, quietly, series, signalsOf, trackOf } from "./gateway.js";
import { LiveSource } from "./live.js";

const OVERVIEW_POINTS = 800;

export function open(view, options = {}) { return new SessionSource(view, options); }

/** options: {session?: 7}; none: the newest one that has readings. */
export class SessionSource extends Source {
  kind = "session";

  constructor(view, options = {}, env = undefined) {
    super();
    this.view = view;
    this.options = options;
    this.session = null;
    this.statistics = null;
    this._env = env;
    this._overview = null;
    this._live = null;
  }

  async open() {
    const { api } = this.view;
    const id = await findSession(api, this.options.session ?? this.options.id);
    this.statistics = await api.get(`/api/v1/sessions/${id}/statistics`);
    this.session = this.statistics.session;
    this._path = `/api/v1/sessions/${id}/series`;
    const [catalogue] = await Promise.all([quietly(api.get("/api/v1/signals")), this._look()]);
    return this._info(catalogue?.signals ?? []);
  }

  get isRunning() { return this.session.state === "running"; }
  get _names() { return this.statistics.signals.map((figures) => figures.signal); }

  /** The line of the overview tells where the readings begin and end, too. */
  async _look() {
    const name = mainSignal(this._names);
    const line = name === null ? null
      : (await series(this.view.api, this._path, [name], NaN, NaN, OVERVIEW_POINTS)).get(name);
    const opened_s = (this.session.opened_ns ?? NaN) / 1e9;
    const closed_s = this.session.closed_ns === null ? NaN : this.session.closed_ns / 1e9;
    const first_s = line?.t.length ? line.t[0] : NaN;
    const last_s = line?.t.length ? line.t[line.t.length - 1] : NaN;
    this.start_s = least(opened_s, first_s);
    this.end_s = most(closed_s, last_s);
    if (!(this.end_s >= this.start_s)) this.end_s = this.start_s;
    this._overview = line ? { t: line.t, v: line.v, name } : null;
  }

  _info(catalogue) {
    const { session } = this;
    const names = this._names;
    return {
      id: String(session.id),
      title: session.name || `Session ${session.id}`,
      kind: "session",
      epoch_s: this.start_s,
      start_s: this.start_s,
      end_s: this.isRunning ? null : this.end_s,
      live: this.isRunning,
      device: session.device,
      vehicle: session.vin ?? undefined,
      has: {
        truth: false, wire: false, journey: false, layers: [],
        track: names.includes("LAT") && names.includes("LON"),
      },
      signals: signalsOf(catalogue, names),
      session,
      statistics: this.statistics,
    };
  }

  async series(names, start_s, end_s, points) {
    return series(this.view.api, this._path, names, start_s, end_s, points);
  }

  async at(names, t_s) { return lastReadings(this.view.api, this._path, names, t_s); }

  async overview() {
    const end_s = this.isRunning ? Date.now() / 1e3 : this.end_s;
    return {
      start_s: this.start_s, end_s, series: this._overview,
      marks: await this.events(this.start_s, end_s),
    };
  }

  async track(start_s, end_s, points = 4000) {
    return trackOf(await series(this.view.api, this._path, ["LAT", "LON", "HDOP"], start_s, end_s, points));
  }

  async events(start_s, end_s) {
    return events(this.view.api, this.session.device, start_s, end_s);
  }

  subscribe(fn) {
    if (!this.isRunning) return () => {};
    this._live ??= new LiveSource(this.view, { session: this.session.id }, this._env);
    return this._live.subscribe((message) => {
      // Its signals and limits are this one's; only what is new counts.
      if (message.type !== "info" && message.type !== "stale") fn(message);
    });
  }

  close() { this._live?.close(); }
}

function least(a, b) { return a === a && b === b ? Math.min(a, b) : a === a ? a : b; }
function most(a, b) { return a === a && b === b ? Math.max(a, b) : a === a ? a : b; }

/** The number of a session: the one that is given, else of the newest one that has readings. */
export async function findSession(api, given) {
  if (given !== undefined && given !== null && given !== "") {
    if (/^[0-9]{1,15}$/.test(String(given))) return Number(given);
    const found = String(given).slice(0, 40);
    throw new ApiError({ status: 404, title: "No such session", detail: `session: expected the number of a session, found '${found}'` });
  }
  const { sessions } = await api.get("/api/v1/sessions", { limit: 20 });
  const started = sessions.filter((session) => session.state !== "planned");
  for (const session of started) {
    const found = await quietly(api.get(`/api/v1/sessions/${session.id}/statistics`));
    if (found?.readings) return session.id;
  }
  if (started.length) return started[0].id;
  throw new ApiError({
    status: 404, title: "No session yet",
    detail: "expected a session that was started, found none; start one on the live page",
  });
}
