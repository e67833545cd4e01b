// What stands beside the strips: panels that look at the same instant, and the list of events.

import { el } from "../words.js";
import { eventsPanel } from "./events.js";
import { PANELS } from "./drawing.js";

const KEY = "telerig.panels";

export class Side {
  constructor(stage) {
    this.stage = stage;
    this.element = el("aside", { class: "stage-side", "aria-label": "Panels" });
    this.shells = new Map();
    this.closed = readClosed();
    this._seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const shell = [...this.shells.values()].find((one) => one.element === entry.target);
        if (!shell) continue;
        shell.isSeen = entry.isIntersecting;
        if (shell.isSeen) stage.invalidate(PANELS);
      }
    });
    this._resize = new ResizeObserver(() => stage.invalidate(PANELS));
  }

  start() { this.stage.addPanel(eventsPanel(this.stage)); }

  add(panel) {
    const isOpen = !this.closed.has(panel.name);
    const body = el("div", { class: "stage-panel-body" }, panel.element);
    const element = el("details", { class: `stage-panel stage-panel-${panel.name}`, open: isOpen },
      el("summary", {}, panel.title, panel.key ? el("kbd", {}, panel.key) : ""), body);
    element.addEventListener("toggle", () => {
      if (element.open) this.closed.delete(panel.name); else this.closed.add(panel.name);
      keepClosed(this.closed);
      this.stage.invalidate(PANELS);
    });
    this.shells.set(panel, { element, body, isSeen: true });
    // Events come last: the others say what stands in front of them.
    const events = [...this.shells.keys()].find((one) => one.name === "events");
    if (events && panel.name !== "events") this.element.insertBefore(element, this.shells.get(events).element);
    else this.element.append(element);
    this._seen.observe(element);
    this._resize.observe(body);
  }

  remove(panel) {
    const shell = this.shells.get(panel);
    if (!shell) return;
    this._seen.unobserve(shell.element);
    this._resize.unobserve(shell.body);
    shell.element.remove();
    this.shells.delete(panel);
  }

  toggle(panel) {
    const shell = this.shells.get(panel);
    if (!shell) return;
    shell.element.open = !shell.element.open;
    if (shell.element.open) shell.element.scrollIntoView({ block: "nearest" });
  }

  /** Draw what is open and can be seen. */
  draw() {
    for (const [panel, shell] of this.shells) {
      let isThere = false;
      try { isThere = panel.visible ? panel.visible(this.stage) : true; } catch (error) { console.warn(`panel ${panel.name}:`, error); }
      if (shell.element.hidden === isThere) shell.element.hidden = !isThere;
      if (!isThere || !shell.element.open || !shell.isSeen) continue;
      try { panel.draw(this.stage); } catch (error) {
        // One that fails says so; the others go on.
        if (!shell.failed) shell.body.append(shell.failed = el("p", { class: "stage-problem" }, `This panel failed: ${error.message}`));
        console.warn(`panel ${panel.name}:`, error);
      }
    }
  }

  destroy() { this._seen.disconnect(); this._resize.disconnect(); }
}

function readClosed() {
  try { return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]")); } catch { return new Set(); }
}

function keepClosed(closed) {
  try { localStorage.setItem(KEY, JSON.stringify([...closed])); } catch { /* nothing is kept here */ }
}
