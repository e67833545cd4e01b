// What can be compared: the recordings to choose from, and the signals that both have.

import { el } from "../words.js";

const LISTED = 300;
const ALIGNMENTS = [["time", "time of the drive"], ["event", "an event"], ["distance", "distance"]];

/** Groups of recordings: [[label, [[value, words], ...]], ...]; what cannot be listed is told to `problem`. */
export async function recordings({ api, config, state }, problem) {
  const groups = [];
  const ask = async (path) => { try { return await api.get(path, { limit: LISTED }); } catch (error) { problem(error); return null; } };
  if (config.runs) {
    const runs = (await ask("/api/runs"))?.runs ?? [];
    groups.push(["Runs", runs.filter((run) => !run.running).map((run) => [`run:${run.id}`, runWords(run)])]);
  }
  // Runs can be compared by whoever sees them; sessions need a sign-in.
  if (config.gateway && state.can("viewer")) {
    const sessions = (await ask("/api/v1/sessions"))?.sessions ?? [];
    groups.push(["Sessions", sessions.map((session) => [`session:${session.id}`, `${session.name || `session ${session.id}`} · ${session.device ?? ""}`])]);
  }
  return groups;
}

function runWords(run) {
  const when = run.started?.slice(0, 16).replace("T", " ") ?? "";
  return [run.scenario ? `${run.scenario}, seed ${run.seed ?? "?"}` : run.id, run.damaged ? "damaged" : run.outcome, when].filter(Boolean).join(" · ");
}

/** The bar: two recordings, how they are aligned, the event. */
export class Bar {
  /** @param {(changes: object) => void} set */
  constructor(set) {
    this._set = set;
    this.a = this._select("First", "a");
    this.b = this._select("Second", "b");
    this.align = this._select("Aligned on", "align");
    this.event = this._select("Event", "event");
    this.event.label.hidden = true;
    this.align.select.replaceChildren(...options(ALIGNMENTS));
    this.swap = el("button", { type: "button" }, "Swap");
    this.element = el("div", { class: "compare-bar" }, this.a.label, this.b.label, this.swap, this.align.label, this.event.label);
  }

  _select(words, key) {
    const select = el("select", { name: key });
    select.addEventListener("change", () => this._set({ [key]: select.value }));
    return { select, label: el("label", { class: `compare-${key}` }, el("span", {}, words), select) };
  }

  fill(groups, { a, b }) {
    const known = new Set(groups.flatMap(([, pairs]) => pairs.map(([value]) => value)));
    for (const [choice, chosen] of [[this.a, a], [this.b, b]]) {
      choice.select.replaceChildren(el("option", { value: "" }, "choose…"),
        ...groups.map(([label, pairs]) => el("optgroup", { label }, ...options(pairs))),
        ...(chosen && !known.has(chosen) ? options([[chosen, chosen]]) : []));
    }
  }

  show({ a, b, align }) {
    this.a.select.value = a;
    this.b.select.value = b;
    this.align.select.value = align;
    this.event.label.hidden = align !== "event";
    this.swap.disabled = !a && !b;
  }

  events(names, chosen) {
    this.event.select.replaceChildren(...options(names.map((name) => [name, name])));
    this.event.select.value = chosen;
  }
}

/** Which of the common signals are drawn. */
export class SignalChoice {
  /** @param {(names: string[]) => void} choose */
  constructor(most, choose) {
    this.most = most;
    this.choose = choose;
    this.chosen = [];
    this.summary = el("summary", {});
    this.search = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter signals", autocomplete: "off" });
    this.search.addEventListener("input", () => this._filter());
    this.boxes = el("div", { class: "compare-boxes", role: "group", "aria-label": "Signals" });
    this.element = el("details", { class: "compare-signals", hidden: true }, this.summary, el("p", {}, this.search, el("span", { class: "hint" }, ` at most ${most}`)), this.boxes);
  }

  show(common, chosen) {
    this.chosen = chosen;
    this.element.hidden = !common.length;
    this.summary.replaceChildren(el("b", {}, "Signals: "), chosen.join(", "), el("span", { class: "hint" }, ` (${chosen.length} of ${common.length} that both have)`));
    this.boxes.replaceChildren(...common.map(({ name, label }) => {
      const box = el("input", { type: "checkbox", name, checked: chosen.includes(name) });
      box.addEventListener("change", () => this._changed(box));
      return el("label", { class: "flag" }, box, label);
    }));
    this._filter();
  }

  _changed(box) {
    const names = box.checked ? [...this.chosen, box.name] : this.chosen.filter((name) => name !== box.name);
    if (!names.length || names.length > this.most) box.checked = !box.checked;
    else this.choose(names);
  }

  _filter() {
    const wanted = this.search.value.trim().toLowerCase();
    for (const label of this.boxes.children) label.hidden = !label.textContent.toLowerCase().includes(wanted);
  }
}

function options(pairs) { return pairs.map(([value, words]) => el("option", { value }, words)); }
