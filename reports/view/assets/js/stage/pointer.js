// Mouse and touch: hover, click to seek, drag to pan, shift and drag to select, wheel and pinch to zoom.

import { showEvent, showFault } from "./box.js";
import { under } from "./head.js";
import { span } from "./scale.js";
import { grip } from "./scrubber.js";

const MOVED_PX = 4;

export function bindPointer(stage) {
  const offs = [];
  const listen = (element, name, fn, options) => {
    element.addEventListener(name, fn, options);
    offs.push(() => element.removeEventListener(name, fn, options));
  };
  bindPlot(stage, stage.scroll, listen);
  bindPlot(stage, stage.head, listen, true);
  bindScrubber(stage, listen);
  return () => { for (const off of offs) off(); };
}

function bindPlot(stage, element, listen, isHead = false) {
  const { time } = stage;
  const pointers = new Map();
  let drag = null, pinch = null;
  const at = (event) => {
    const frame = stage.scroll.getBoundingClientRect();
    return time.start + ((event.clientX - frame.left - stage.box.x) / stage.box.w) * time.length_s;
  };
  const inPlot = (event) => {
    const frame = stage.scroll.getBoundingClientRect();
    const x = event.clientX - frame.left;
    return x >= stage.box.x && x <= stage.box.x + stage.box.w;
  };
  listen(element, "pointerdown", (event) => {
    if (event.button !== 0 || !stage.box || !inPlot(event) || event.target.closest("button, a")) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      pinch = { a: at(a), b: at(b), from: a.clientX, to: b.clientX };
      drag = null;
      return;
    }
    drag = { x: event.clientX, t: at(event), start: time.start, end: time.end, moved: false, select: event.shiftKey };
  });
  listen(element, "pointermove", (event) => {
    if (!stage.box) return;
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event);
    if (pinch && pointers.size === 2) { pinchTo(stage, pinch, [...pointers.values()]); return; }
    if (drag) {
      if (!drag.moved && Math.abs(event.clientX - drag.x) > MOVED_PX) {
        drag.moved = true;
        element.setPointerCapture?.(event.pointerId);
        element.classList.add("is-dragged");
      }
      if (!drag.moved) return;
      if (drag.select) time.set({ ...(time.mode === "following" ? { mode: "paused" } : {}), t: drag.t, t2: at(event), hover: NaN });
      else {
        const shift = ((drag.x - event.clientX) / stage.box.w) * (drag.end - drag.start);
        time.window(drag.start + shift, drag.end + shift);
      }
      return;
    }
    if (event.pointerType === "touch") return;
    const isIn = inPlot(event);
    stage.pointerX = isIn ? event.clientX - stage.scroll.getBoundingClientRect().left - stage.box.x : null;
    time.set({ hover: isIn ? at(event) : NaN });
    if (isHead) showTip(stage, event, at(event));
  });
  const up = (event) => {
    pointers.delete(event.pointerId);
    element.classList.remove("is-dragged");
    if (pinch) { if (pointers.size < 2) pinch = null; drag = null; return; }
    if (drag && !drag.moved && event.type === "pointerup") press(stage, event, at(event), isHead);
    drag = null;
  };
  listen(element, "pointerup", up);
  listen(element, "pointercancel", up);
  listen(element, "pointerleave", (event) => { if (event.pointerType !== "touch") time.set({ hover: NaN }); stage.pointerX = null; stage.tip.hidden = true; });
  listen(element, "wheel", (event) => {
    if (!stage.box) return;
    const isAcross = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (isAcross) time.pan(((event.deltaX || event.deltaY) / stage.box.w) * time.length_s);
    else if (event.ctrlKey || event.metaKey || isHead) time.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * 0.002))), at(event));
    else return;
    event.preventDefault();
  }, { passive: false });
}

function pinchTo(stage, pinch, [a, b]) {
  const { time, box } = stage;
  const frame = stage.scroll.getBoundingClientRect();
  const xa = a.clientX - frame.left - box.x, xb = b.clientX - frame.left - box.x;
  if (Math.abs(xb - xa) < 8) return;
  // Both instants stay under their fingers.
  const perPixel = (pinch.b - pinch.a) / (xb - xa);
  if (!(perPixel > 0)) return;
  const start = pinch.a - xa * perPixel;
  time.window(start, start + perPixel * box.w);
}

function press(stage, event, t, isHead) {
  const { time } = stage;
  if (isHead) {
    const hit = hitOf(stage, event, t);
    const near = { x: event.clientX, y: event.clientY };
    if (hit?.event) { time.seek(hit.event.t); showEvent(stage, hit.event, near); return; }
    if (hit?.fault) { showFault(stage, hit.fault, near); return; }
    if (hit?.phase && event.detail >= 2) { time.window(hit.phase.start_s, hit.phase.end_s ?? time.last_s); return; }
  }
  if (event.altKey) time.set({ t2: t });
  else time.seek(t);
}

function hitOf(stage, event, t) {
  const y = event.clientY - stage.head.getBoundingClientRect().top;
  return under(stage.lanes, y, t, stage.time.length_s / stage.box.w, stage);
}

function showTip(stage, event, t) {
  const hit = hitOf(stage, event, t), { tip } = stage;
  let words = "";
  if (hit?.event) words = `${stage.clock(hit.event.t, 1)} ${hit.event.kind} ${hit.event.link ?? ""}: ${hit.event.text ?? ""}`;
  else if (hit?.fault) words = `${hit.fault.name}: press for times`;
  else if (hit?.phase) words = `${hit.phase.name}, ${span((hit.phase.end_s ?? stage.time.last_s) - hit.phase.start_s)}; press twice to see it`;
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const frame = stage.element.getBoundingClientRect();
  tip.style.left = `${Math.max(0, Math.min(event.clientX - frame.left + 12, frame.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${event.clientY - frame.top + 16}px`;
}

function bindScrubber(stage, listen) {
  const { time, scrubCanvas: element } = stage;
  let held = null;
  const x = (event) => event.clientX - element.getBoundingClientRect().left;
  const at = (px) => time.first_s + ((px - stage.scrubBox.x) / stage.scrubBox.w) * (time.last_s - time.first_s);
  listen(element, "pointerdown", (event) => {
    if (event.button !== 0 || !stage.scrubBox || !(time.last_s > time.first_s)) return;
    element.setPointerCapture(event.pointerId);
    const what = event.shiftKey ? "loop" : grip(x(event), stage.scrubBox, time);
    held = { what, t: at(x(event)), start: time.start, end: time.end, x: x(event), moved: false };
    if (what === "seek") {
      time.window(held.t - time.length_s / 2, held.t + time.length_s / 2);
      time.seek(held.t);
      held = { ...held, what: "cursor" };
    }
  });
  listen(element, "pointermove", (event) => {
    if (!stage.scrubBox || !(time.last_s > time.first_s)) return;
    const t = at(x(event));
    if (!held) {
      element.style.cursor = { start: "ew-resize", end: "ew-resize", window: "grab", seek: "pointer" }[grip(x(event), stage.scrubBox, time)];
      return;
    }
    if (Math.abs(x(event) - held.x) > MOVED_PX) held.moved = true;
    if (!held.moved) return;
    if (held.what === "window") time.window(held.start + t - held.t, held.end + t - held.t);
    else if (held.what === "start") time.window(Math.min(t, held.end - 0.01), held.end);
    else if (held.what === "end") time.window(held.start, Math.max(t, held.start + 0.01));
    else if (held.what === "loop") time.set({ loop: [Math.min(held.t, t), Math.max(held.t, t)] });
    else time.seek(t);
  });
  const up = () => {
    if (held && !held.moved && held.what === "window") time.seek(held.t);
    held = null;
  };
  listen(element, "pointerup", up);
  listen(element, "pointercancel", () => { held = null; });
  listen(element, "wheel", (event) => {
    if (!stage.scrubBox) return;
    time.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * 0.002))), at(x(event)));
    event.preventDefault();
  }, { passive: false });
}
