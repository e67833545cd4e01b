// Every limit of a run: those that are drawn in a strip, and those that are only numbers.

import { showLimit } from "../stage/box.js";
import { boundsText, marginText, outcomeOf, worst } from "../stage/limits.js";
import { trimmed } from "../stage/scale.js";
import { el } from "../words.js";

export function panel(stage) { return new LimitsPanel(stage); }

class LimitsPanel {
  name = "limits";
  title = "Limits";
  key = "i";

  constructor(stage) {
    this.stage = stage;
    this.isDirty = true;
    this.only = el("input", { type: "checkbox", onchange: () => this._again() });
    this.count = el("span", { class: "limits-count" });
    this.list = el("ul", { class: "limits-list" });
    this.element = el("div", {}, el("p", { class: "wire-tools" }, this.count, el("label", { class: "hint" }, this.only, " only what was not kept")), this.list);
    this.off = stage.on("info", () => this._again());
  }

  _again() { this.isDirty = true; this.stage.invalidate(16); }

  visible(stage) { return stage.info.limits.length > 0; }

  draw(stage) {
    if (!this.isDirty) return;
    this.isDirty = false;
    const { limits } = stage.info, counts = {};
    for (const limit of limits) counts[limit.outcome] = (counts[limit.outcome] ?? 0) + 1;
    this.count.textContent = Object.entries(counts).map(([outcome, n]) => `${n} ${outcomeOf({ outcome }).word}`).join(", ");
    const rest = [...limits], sorted = [];
    while (rest.length) sorted.push(...rest.splice(rest.indexOf(worst(rest)), 1));
    const shown = sorted.filter((limit) => !this.only.checked || ["fail", "unset", "marginal"].includes(limit.outcome));
    this.list.replaceChildren(...shown.map((limit) => this._row(limit)));
    if (!shown.length) this.list.append(el("li", { class: "hint" }, "Every limit was kept."));
  }

  destroy() { this.off(); }

  _row(limit) {
    const { sign, word, tone } = outcomeOf(limit), { stage } = this;
    const value = limit.value === null || limit.value === undefined ? "" : `${trimmed(limit.value, 4)}${limit.unit ? ` ${limit.unit}` : ""}`;
    const show = (event) => {
      if (limit.signal && !stage.selected.includes(limit.signal)) stage.select([limit.signal, ...stage.selected]);
      stage.hover = limit.signal;
      showLimit(stage, limit, event.currentTarget);
    };
    return el("li", { class: `tone-${tone}` }, el("button", { type: "button", class: "quiet", onclick: show, title: limit.about || limit.text },
      el("b", { "aria-label": word }, sign), el("span", { class: "limits-name" }, limit.name, limit.phase ? el("small", {}, ` ${limit.phase}`) : ""),
      el("span", { class: "limits-bound" }, boundsText(limit)), el("span", { class: "limits-value" }, value), el("span", { class: "limits-margin" }, marginText(limit))));
  }
}
