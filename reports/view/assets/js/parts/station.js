// What runs now: each scenario with its steps, its limits as they are judged, and what happened last.

import { RunCard } from "../station/card.js";
import { el, errorBox } from "../words.js";

const LOOK_MS = 3000, MOST = 12, LAST = 5, KEPT = 3;
const COMMAND = "telerig run FILE --pace 1 --view";

export async function mount(element, _options, view) {
  const station = new Station(element, view);
  await station.look();
  return { unmount: () => station.end() };
}

class Station {
  constructor(element, view) {
    Object.assign(this, { element, view });
    this.cards = new Map();
    this.isOver = false;
    this.problem = el("div", {});
    this.list = el("div", { class: "station-runs" });
    this.quiet = el("div", { class: "station-quiet" });
    element.classList.add("station");
    element.replaceChildren(this.problem, this.list, this.quiet);
    this._seen = () => { if (!document.hidden) this.look(); };
    document.addEventListener("visibilitychange", this._seen);
  }

  end() {
    this.isOver = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this._seen);
    for (const card of this.cards.values()) card.end();
  }

  /** Which runs there are is asked for; what happens in them is told. */
  async look() {
    clearTimeout(this.timer);
    if (this.isOver || this.isLooking) return;
    this.isLooking = true;
    try {
      const { runs } = await this.view.api.get("/api/runs", { outcome: "running", limit: MOST });
      if (this.isOver) return;
      this.problem.replaceChildren();
      await this._show(runs);
    } catch (error) {
      if (!this.isOver) this.problem.replaceChildren(errorBox(error, { view: this.view, again: () => this.look() }));
    } finally {
      this.isLooking = false;
      clearTimeout(this.timer);
      if (!this.isOver && !document.hidden) this.timer = setTimeout(() => this.look(), LOOK_MS);
    }
  }

  async _show(runs) {
    const before = this.running;
    this.running = runs.length;
    for (const run of runs) if (!this.cards.has(run.id)) this._add(run);
    for (const run of runs) if (this.cards.get(run.id).hasFailed) this.cards.get(run.id).begin();
    for (const [id, card] of this.cards) if (card.hasFailed && !runs.some((run) => run.id === id)) card.hasEnded = true;
    this._forget();
    if (runs.length) { this.quiet.replaceChildren(); return; }
    if (before !== 0) await this._sayQuiet();
  }

  _add(run) {
    const card = new RunCard(run, this.view, () => this.look());
    this.cards.set(run.id, card);
    const next = [...this.cards.values()].filter((one) => one !== card && one.started <= card.started).sort((a, b) => (a.started < b.started ? 1 : -1))[0];
    this.list.insertBefore(card.element, next?.element ?? null);
    card.begin();
  }

  /** What has ended stays for a look at its verdict; the oldest of them go. */
  _forget() {
    const ended = [...this.cards].filter(([, card]) => card.hasEnded);
    for (const [id, card] of ended.slice(0, Math.max(0, ended.length - KEPT))) {
      card.end();
      card.element.remove();
      this.cards.delete(id);
    }
  }

  async _sayQuiet() {
    const { runs } = await this.view.api.get("/api/runs", { limit: LAST });
    if (this.isOver || this.running) return;
    this.quiet.replaceChildren(
      el("div", { class: "box station-none" }, el("p", {}, el("strong", {}, "No scenario runs now.")),
        el("p", {}, "Start one beside this folder: ", el("code", {}, COMMAND)),
        el("p", { class: "hint" }, "This page finds it by itself, also when it was started elsewhere with the same folder of runs.")),
      runs.length ? el("section", { class: "box station-last", "aria-label": "The last verdicts" }, el("h2", {}, "The last verdicts"),
        el("ul", {}, ...runs.map(lastOne))) : "");
  }
}

const SIGNS = { pass: ["✓", "good"], marginal: ["!", "warn"], fail: ["✗", "bad"], damaged: ["⚠", "bad"], error: ["✗", "bad"] };

function lastOne(run) {
  const outcome = run.damaged ? "damaged" : run.outcome, [sign, tone] = SIGNS[outcome] ?? ["?", "stale"];
  const worst = run.worst?.margin_pct === undefined || run.worst?.margin_pct === null ? "" : `${run.worst.name} ${run.worst.margin_pct < 0 ? "−" : "+"}${Math.abs(run.worst.margin_pct).toFixed(1)} %`;
  return el("li", {}, el("span", { class: tone }, `${sign} ${outcome || "unknown"}`), el("a", { href: `/run/${encodeURIComponent(run.id)}` }, `${run.scenario || run.id}, seed ${run.seed}`),
    el("span", { class: "hint" }, worst), el("time", { class: "hint", datetime: run.started }, run.started?.slice(0, 16).replace("T", " ") ?? ""));
}
