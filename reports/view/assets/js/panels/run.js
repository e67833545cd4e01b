// What run this is: verdict, seed, commit; the command that repeats it; a window of it as a new scenario.

import { copy } from "../stage/box.js";
import { el, wordsOf } from "../words.js";

const SHORT_HASH = 12;

export function panel(stage, view) { return new RunPanel(stage, view); }

class RunPanel {
  name = "run";
  title = "Run";
  key = "u";

  constructor(stage, view) {
    this.stage = stage;
    this.view = view;
    this.isDirty = true;
    this.facts = el("dl", { class: "stage-facts" });
    this.repeat = el("div", { class: "run-repeat" });
    this.ways = el("p", { class: "run-ways" });
    this.notes = el("p", { class: "hint" });
    this.element = el("div", { class: "run-panel" }, this.facts, this.repeat, this._cutForm(), this.ways, this.notes);
    this.off = stage.on("info", () => { this.isDirty = true; stage.invalidate(16); });
  }

  visible(stage) { return stage.info.kind === "run" && Boolean(stage.info.manifest); }

  draw(stage) {
    this.window.textContent = `${stage.clock(stage.time.start, 1)} to ${stage.clock(stage.time.end, 1)}`;
    if (!this.isDirty) return;
    this.isDirty = false;
    const { info } = stage, { manifest } = info;
    const pairs = [
      ["verdict", info.live ? "running" : info.verdict], ["scenario", manifest.scenario], ["seed", manifest.seed], ["clock", manifest.mode],
      ["started", manifest.started?.replace("T", " ").slice(0, 19)], ["commit", manifest.versions?.commit],
      ["trace", manifest.trace_sha256 ? manifest.trace_sha256.slice(0, SHORT_HASH) : info.live ? "not yet" : "the run did not end"], ["file", info.file],
      ...Object.entries(manifest.matrix ?? {}),
    ];
    this.facts.replaceChildren(...pairs.filter(([, value]) => value !== undefined && value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
    this.repeat.replaceChildren(...(info.command ? [
      el("p", { class: "hint" }, "Repeat this run"), el("code", {}, info.command),
      el("button", { type: "button", onclick: (event) => copy(event.currentTarget, info.command) }, "Copy"),
    ] : []));
    this.ways.replaceChildren(
      el("a", { class: "button", href: `/compare?a=${encodeURIComponent(`run:${info.id}`)}` }, "Compare…"),
      info.stoppable ? el("button", { type: "button", onclick: (event) => this._stop(event.currentTarget) }, "Stop the run") : "",
    );
    this.notes.textContent = [info.damaged, ...(info.notes ?? [])].filter(Boolean).join("; ");
    this.cut.hidden = info.live || !info.has.truth;
  }

  destroy() { this.off(); }

  _cutForm() {
    this.window = el("b", {});
    this.newName = el("input", { type: "text", name: "name", required: true, pattern: "[a-z0-9][a-z0-9_\\-]*", maxLength: 64, placeholder: "tunnel_at_speed", "aria-label": "Name of the new scenario", autocomplete: "off" });
    this.answer = el("p", { role: "status" });
    this.cut = el("form", { class: "run-cut" }, el("p", { class: "hint" }, "Make a scenario of the window ", this.window),
      el("div", { class: "run-cut-line" }, this.newName, el("button", { type: "submit" }, "Cut")), this.answer);
    this.cut.addEventListener("submit", (event) => { event.preventDefault(); this._cut(); });
    return this.cut;
  }

  async _cut() {
    const { stage, view } = this, epoch = stage.epoch_s;
    this.answer.className = "";
    this.answer.textContent = "Cutting…";
    try {
      const made = await view.api.post(stage.source.path("/cut"), { start_s: stage.time.start - epoch, end_s: stage.time.end - epoch, name: this.newName.value });
      this.answer.replaceChildren("Written. Run it: ", el("code", {}, made.command));
    } catch (error) {
      this.answer.className = "tone-bad";
      this.answer.textContent = wordsOf(error)[1];
    }
  }

  async _stop(button) {
    button.disabled = true;
    try { await this.stage.source.stop(); button.textContent = "Stopping…"; } catch (error) {
      button.disabled = false;
      this.notes.textContent = wordsOf(error).join(": ");
    }
  }
}
