// What a device last measured: every signal with value, unit, age and state, as it comes.

import { el, errorBox } from "../words.js";
import { hubOf } from "../live/hub.js";
import { age, every, put } from "../live/say.js";
import { readable } from "../sources/gateway.js";
import { digitsOfResolution, reading } from "../stage/scale.js";

const DRAW_MS = 250;
const OLD_S = 5;
const STATES = [
  ["●", "measured", ""],
  ["◐", "bounded", ""],
  ["○", "held", "warn"],
  ["✖", "lost", "bad"],
];

export async function mount(element, options, view) {
  const path = `/api/v1/devices/${encodeURIComponent(options.device)}/latest`;
  const rows = new Map(); // name -> {value, unit, t, state, count, cells}
  const body = el("tbody");
  const count = el("p", { class: "count", role: "status" });
  const empty = el("p", { class: "empty", hidden: true }, "Nothing has been measured yet. The first reading shows here by itself.");
  const table = el(
    "table",
    { class: "listing values", "data-listing": "values" },
    el("caption", { class: "visually-hidden" }, `Current values of ${options.device}`),
    el("thead", {}, el("tr", {}, ["Signal", "Value", "Unit", "Age", "State"].map((head, i) => el("th", { scope: "col", class: i === 1 ? "number" : null }, head)))),
    body,
  );
  const resolutions = new Map(
    ((await view.api.get("/api/v1/signals").catch(() => null))?.signals ?? []).map((one) => [one.name, one.resolution]),
  );
  element.append(el("h2", {}, "Current values"), count, empty, el("div", { class: "table-scroll" }, table));

  const take = (name, unit, t, value, state) => {
    let row = rows.get(name);
    if (!row) {
      row = { name, unit, t: -Infinity, cells: null, digits: digitsOfResolution(resolutions.get(name)) };
      rows.set(name, row);
      add(row);
    }
    if (t < row.t) return;
    Object.assign(row, { t, value, state: state ?? 0, unit: unit || row.unit });
  };
  const add = (row) => {
    const cell = (label, kind = "") => el("td", { "data-label": label, class: kind });
    row.cells = { value: cell("Value", "number"), unit: cell("Unit"), age: cell("Age"), state: cell("State") };
    row.sign = el("span", { "aria-hidden": "true" });
    row.word = el("span", { class: "word" });
    row.cells.state.append(row.sign, row.word);
    row.element = el(
      "tr",
      { "data-key": row.name },
      el("th", { scope: "row", "data-label": "Signal", title: readable(row.name) }, row.name),
      Object.values(row.cells),
    );
    const after = [...rows.values()].filter((one) => one.element !== row.element && one.name > row.name).sort((a, b) => (a.name < b.name ? -1 : 1))[0];
    if (after?.element.isConnected) after.element.before(row.element);
    else body.append(row.element);
  };
  const ask = async () => {
    try {
      const found = await view.api.get(path);
      for (const one of found.latest) take(one.signal, one.unit, one.time_ns / 1e9, one.value, one.state);
      element.querySelector(".error-box")?.remove();
    } catch (error) {
      if (!rows.size && !element.querySelector(".error-box")) element.append(errorBox(error, { view }));
    }
    draw();
  };
  const draw = () => {
    const now_s = hub.clock?.now_s?.() ?? Date.now() / 1e3;
    for (const row of rows.values()) {
      const old_s = now_s - row.t;
      const [sign, word, tone] = STATES[row.state] ?? STATES[0];
      put(row.cells.value, row.value === null || row.value === undefined ? "–" : reading(row.value, row.digits));
      put(row.cells.unit, row.unit || "–");
      put(row.cells.age, age(old_s));
      put(row.sign, sign);
      put(row.word, ` ${word}`);
      row.cells.state.className = tone;
      row.element.classList.toggle("old", old_s > OLD_S);
    }
    empty.hidden = rows.size > 0;
    const fresh = [...rows.values()].filter((row) => now_s - row.t <= OLD_S).length;
    put(count, rows.size ? `${rows.size} signals, ${fresh} of them newer than ${OLD_S} s` : "");
  };

  const { hub, release } = hubOf(view, { device: options.device });
  const off = hub.on((message) => {
    if (message.type !== "readings") return;
    for (const [name, t, value, state] of message.rows) {
      take(name, hub.signals.get(name)?.unit ?? "", t, value, state);
    }
  });
  await ask();
  const stops = [every(DRAW_MS, draw), every(10_000, ask)];
  return {
    unmount() {
      stops.forEach((stop) => stop());
      off();
      release();
    },
  };
}
