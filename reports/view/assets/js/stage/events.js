// The list of events beside the strips: what happened when; a press goes there.

import { el } from "../words.js";
import { PANELS } from "./drawing.js";

const MOST = 200;
const SIGNS = { bad: "✗", warn: "!", good: "✓", info: "·" };

export function eventsPanel(stage) {
  const list = el("ol", { class: "stage-events" });
  const only = el("input", { type: "checkbox", onchange: () => { dirty = true; stage.invalidate(PANELS); } });
  const element = el("div", {}, el("label", { class: "hint" }, only, " only what went wrong"), list);
  let dirty = true, current = null, rows = [];
  const off = [stage.on("events", () => { dirty = true; }), stage.on("info", () => { dirty = true; }),
    stage.time.on(() => { if (stage.time.axis !== axis) { axis = stage.time.axis; dirty = true; } })];
  let axis = stage.time.axis;
  const fill = () => {
    const { info } = stage;
    // Some sources tell phases and faults as events, too.
    const told = new Set(stage.events.map((event) => event.kind));
    const all = [
      ...stage.events,
      ...(told.has("phase") ? [] : info.phases).map((phase) => ({ t: phase.start_s, kind: "phase", severity: "info", text: phase.name })),
      ...(told.has("fault") ? [] : info.faults).map((fault) => ({ t: fault.start_s, kind: "fault", severity: "warn", text: `${fault.name}${fault.link ? ` on ${fault.link}` : ""}` })),
    ].filter((event) => !only.checked || event.severity === "bad" || event.severity === "warn").sort((a, b) => a.t - b.t);
    const shown = all.slice(-MOST);
    rows = shown.map((event) => ({ event, element: el("li", { class: `tone-${event.severity === "info" ? "quiet" : event.severity}` },
      el("button", { type: "button", class: "quiet", onclick: () => stage.time.seek(event.t) },
        el("span", { class: "event-time" }, stage.clock(event.t, 1)), el("b", { "aria-hidden": "true" }, SIGNS[event.severity] ?? "·"),
        el("span", {}, `${event.kind}${event.link ? ` ${event.link}` : ""}: ${event.text ?? ""}`))) }));
    list.replaceChildren(...rows.map((row) => row.element));
    if (!rows.length) list.append(el("li", { class: "empty" }, "Nothing has happened."));
    if (all.length > MOST) list.prepend(el("li", { class: "hint" }, `${all.length - MOST} earlier ones are not listed`));
  };
  return {
    name: "events", title: "Events", key: "e", element,
    visible: () => true,
    draw() {
      if (dirty) { dirty = false; current = null; fill(); if (stage.time.mode === "following") list.scrollTop = list.scrollHeight; }
      const t = stage.time.at;
      let now = null;
      for (const row of rows) { if (row.event.t <= t + 1e-6) now = row; else break; }
      if (now === current) return;
      current?.element.removeAttribute("aria-current");
      now?.element.setAttribute("aria-current", "true");
      current = now;
      if (now && !list.matches(":hover, :focus-within")) list.scrollTop = now.element.offsetTop - list.offsetTop - list.clientHeight / 2;
    },
    destroy() { for (const one of off) one(); },
  };
}
