// One running scenario: clock, steps, limits, what happened last; told by its source, drawn twice a second at most.

import { completed } from "../stage/source.js";
import { duration } from "../stage/scale.js";
import { open } from "../sources/run.js";
import { el, wordsOf } from "../words.js";
import { standing, stepsAt, summary } from "./steps.js";

const DRAW_MS = 500, EVENTS = 6;
const WORDS = { pass: ["✓ pass", "good"], marginal: ["! marginal", "warn"], fail: ["✗ fail", "bad"] };

export class RunCard {
  /** @param {{id, scenario, seed, started}} run @param {() => void} ended */
  constructor(run, view, ended) {
    Object.assign(this, { run, view, ended });
    this.started = run.started ?? "";
    this.events = [];
    this.hasEnded = false;
    this.t = NaN;
    // A run that has just begun has no record yet: its names come with that.
    const title = run.scenario ? `${run.scenario}, seed ${run.seed}` : run.id;
    this.title = el("a", { href: `/run/${encodeURIComponent(run.id)}` }, title);
    const address = `/run/${encodeURIComponent(run.id)}`;
    this.clock = el("span", { class: "station-clock" });
    this.verdict = el("span", { class: "tag", role: "status" }, "▶ running");
    this.stop = el("button", { type: "button", class: "danger", hidden: true, onclick: () => this._stop() }, "Stop");
    this.note = el("p", { class: "hint", role: "status" });
    this.steps = el("ol", { class: "station-steps", "aria-label": "Steps" });
    this.count = el("p", { class: "station-count" });
    this.limits = el("tbody", {});
    this.happened = el("ol", { class: "station-events" });
    const heads = ["limit", "bound", "so far", "margin", "state"].map((head) => el("th", { scope: "col", class: head === "so far" || head === "margin" ? "number" : "" }, head));
    this.element = el("article", { class: "box station-run", "aria-label": title },
      el("header", {}, el("h2", {}, this.title), this.clock, this.verdict, el("a", { class: "button", href: address }, "Watch"), this.stop),
      this.note, this.steps,
      el("div", { class: "station-columns" },
        el("section", { "aria-label": "Limits" }, el("h3", {}, "Limits"), this.count,
          el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Table of limits" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), this.limits))),
        el("section", { "aria-label": "What happened last" }, el("h3", {}, "Last events"), this.happened)));
  }

  async begin() {
    this.hasFailed = false;
    try {
      this.source = open(this.view, { id: this.run.id, layers: "reported" });
      this.source.subscribe((message) => this._heard(message));
      this.info = completed(await this.source.open());
      this.note.textContent = "";
      this.t = this.info.end_s;
      this.events = await this.source.events(-Infinity, Infinity).catch(() => []);
      if (this.isOver) { this.source.close(); return; }
      if (!this.info.live) this._over(this.info.verdict);
      this.draw();
    } catch (error) {
      this.note.textContent = wordsOf(error).join(": ");
      this.source?.close();
      this.hasFailed = true;
    }
  }

  end() {
    this.isOver = true;
    clearTimeout(this.timer);
    this.source?.close();
  }

  _heard(message) {
    if (message.type === "readings") for (const row of message.rows) this._at(row[1]);
    if (message.type === "event") { this.events.push(message.event); this._at(message.event.t); }
    if (message.type === "state") {
      if (Number.isFinite(message.end_s)) this._at(message.end_s);
      this.note.textContent = message.connection === "up" ? "" : message.text ?? "No connection: what is shown is the last that came.";
      this.element.classList.toggle("is-stale", message.connection !== "up");
    }
    if (message.type === "info" && this.info) { this.info = completed({ ...this.info, ...message.info }); this._at(this.info.end_s); }
    if (message.type === "end") { this._over(message.verdict); this.ended(); }
    this.timer ??= setTimeout(() => { this.timer = null; this.draw(); }, DRAW_MS);
  }

  _at(t) { if (Number.isFinite(t) && !(t <= this.t)) this.t = t; }

  _over(verdict) {
    this.hasEnded = true;
    const [words, tone] = WORDS[verdict] ?? [`? ${verdict ?? "ended"}`, "bad"];
    this.verdict.textContent = words;
    this.verdict.className = `tag ${tone}`;
  }

  draw() {
    if (this.isOver || !this.info) return;
    const { info } = this, epoch = info.epoch_s ?? info.start_s, last = Math.max(...info.phases.map((phase) => phase.end_s), epoch);
    if (info.manifest?.scenario) {
      this.title.textContent = info.title;
      this.element.setAttribute("aria-label", info.title);
    }
    this.clock.textContent = `${duration(this.t - epoch, 0)} of ${duration(last - epoch, 0)}`;
    this.stop.hidden = !info.stoppable || this.hasEnded || !info.live;
    this.steps.replaceChildren(...stepsAt(info.phases, this.t).map(stepOf));
    this.count.textContent = info.limits.length ? summary(info.limits, this.t) : "This scenario has no limits.";
    this.limits.replaceChildren(...info.limits.map((limit) => limitOf(limit, this.t)));
    const shown = this.events.slice(-EVENTS).reverse();
    this.happened.replaceChildren(...(shown.length ? shown.map((event) => el("li", {}, el("span", { class: "station-when" }, duration(event.t - epoch, 1)), ` ${event.text ?? event.kind}`)) : [el("li", { class: "hint" }, "Nothing yet.")]));
  }

  async _stop() {
    this.stop.disabled = true;
    try { await this.source.stop(); this.note.textContent = "Stopping…"; } catch (error) {
      this.stop.disabled = false;
      this.note.textContent = wordsOf(error).join(": ");
    }
  }
}

const STATES = { done: ["✓", "done"], now: ["▶", "now"], next: ["○", "next"] };

function stepOf({ name, length_s, state, share }) {
  const [sign, word] = STATES[state], bar = el("i", { "aria-hidden": "true" });
  bar.style.width = `${(share * 100).toFixed(1)}%`;
  return el("li", { class: `is-${state}`, "aria-current": state === "now" ? "step" : null },
    el("span", { class: "station-step" }, el("b", {}, name), el("span", {}, `${sign} ${word}`)), el("span", { class: "hint" }, duration(length_s, 0)), el("span", { class: "station-bar" }, bar));
}

function limitOf(limit, t) {
  const { sign, word, tone, value, margin, bound } = standing(limit, t);
  return el("tr", {}, el("th", { scope: "row" }, limit.name, limit.phase ? el("small", {}, ` ${limit.phase}`) : ""), el("td", {}, bound),
    el("td", { class: "number" }, value), el("td", { class: "number" }, margin), el("td", { class: `tone-${tone}` }, `${sign} ${word}`));
}
