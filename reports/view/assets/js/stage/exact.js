// Values at the cursor as they were recorded, where the drawn column has left readings out.

import { READOUT, PANELS } from "./drawing.js";

const REST_MS = 120, SPAN_S = 10, MOST_S = 120;

export class Exact {
  constructor(stage) {
    this.stage = stage;
    this._t = NaN;
    this._found = new Map();
    this._turn = 0;
  }

  close() { clearTimeout(this._timer); this._turn++; }

  at(name, t, layer) { return t === this._t ? this._found.get(`${layer}|${name}`) ?? null : null; }

  /** Ask once the cursor has come to rest. */
  soon() {
    const { stage } = this, t = stage.time.at;
    if (t === this._t || t === this._askedT || !(t === t) || stage.time.mode === "following" || stage.time.playing) return;
    this._askedT = t;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._ask(t), REST_MS);
  }

  async _ask(t) {
    const { stage } = this, turn = ++this._turn;
    const wanted = new Map();
    const shown = stage.rows.onScreen();
    for (const strip of stage.strips) {
      if (!shown.has(strip.key)) continue;
      for (const layer of strip.layers) {
        const column = stage.book.column(strip.name, layer, t, t);
        if (column.raw) continue;
        if (!wanted.has(layer)) wanted.set(layer, []);
        wanted.get(layer).push(strip.name);
      }
    }
    if (!wanted.size) { this._askedT = NaN; return; }
    const found = new Map();
    try {
      for (const [layer, names] of wanted) await this._fetch(names, t, layer, found);
    } catch { return; } // what is drawn stays, with its sign that it is near, not exact
    if (turn !== this._turn) return;
    this._t = t;
    this._found = found;
    stage.invalidate(READOUT | PANELS);
  }

  async _fetch(names, t, layer, found) {
    const { source } = this.stage;
    if (source.at && (layer === "" || source.hasLayersAt)) {
      for (const [name, value] of await source.at(names, t, layer)) found.set(`${layer}|${name}`, value);
      return;
    }
    // Long enough for the slowest of them.
    const steps = names.map((name) => this.stage.book.step_s(name, layer)).filter(Number.isFinite);
    const span_s = Math.min(MOST_S, Math.max(SPAN_S, 4 * Math.max(0, ...steps)));
    const columns = await source.series(names, t - span_s, t + 1e-6, 20_000, layer || undefined);
    for (const [name, column] of columns) {
      let place = column.t.length - 1;
      while (place >= 0 && column.t[place] > t) place--;
      if (place >= 0) found.set(`${layer}|${name}`, { t: column.t[place], v: column.v[place], s: column.s ? column.s[place] : 0 });
    }
  }
}
