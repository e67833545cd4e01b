// Colours of the page, read from its style sheet once for each theme.

const NAMES = {
  paper: "--stage-paper", grid: "--stage-grid", rule: "--stage-rule", ink: "--stage-ink", soft: "--stage-soft",
  faint: "--stage-faint", good: "--stage-good", warn: "--stage-warn", bad: "--stage-bad", stale: "--stage-stale",
  truth: "--stage-truth", wire: "--stage-wire", stored: "--stage-stored", cursor: "--stage-cursor",
  second: "--stage-second", phaseA: "--stage-phase-a", phaseB: "--stage-phase-b", fault: "--stage-fault",
  loop: "--stage-loop", forbidden: "--stage-forbidden", lit: "--stage-lit",
};

export class Theme {
  constructor(element, onChange) {
    this.element = element;
    this._onChange = onChange;
    this.read();
    this._query = matchMedia("(prefers-color-scheme: dark)");
    this._again = () => { this.read(); this._onChange(); };
    this._query.addEventListener("change", this._again);
    this._observer = new MutationObserver(this._again);
    this._observer.observe(document.documentElement, {
      attributes: true, attributeFilter: ["data-theme", "class", "style"],
    });
  }

  read() {
    const style = getComputedStyle(this.element);
    for (const [key, name] of Object.entries(NAMES)) this[key] = style.getPropertyValue(name).trim() || "#888";
    this.series = [];
    for (let i = 1; i <= 8; i++) {
      this.series.push(style.getPropertyValue(`--series-${i}`).trim() || this.stored);
    }
    this.font = `11px ${style.fontFamily || "system-ui"}`;
    this._hatch = null;
  }

  /** Slanted lines, for what is forbidden or lost. */
  hatch(g) {
    if (this._hatch) return this._hatch;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = this.bad;
    pen.globalAlpha = 0.45;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const at of [-8, 0, 8]) { pen.moveTo(at, 8); pen.lineTo(at + 8, 0); }
    pen.stroke();
    this._hatch = g.createPattern(tile, "repeat");
    return this._hatch;
  }

  destroy() {
    this._query.removeEventListener("change", this._again);
    this._observer.disconnect();
  }
}
