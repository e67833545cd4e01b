// A session in figures: what was told of it, how the drive was, every signal; its names can be changed.

import { findSession } from "../sources/session.js";
import { readable } from "../sources/gateway.js";
import { digitsOfResolution, reading } from "../stage/scale.js";
import { length, number, wall } from "../table/values.js";
import { el, wordsOf } from "../words.js";

const ASK_MS = 10000;
const EDITED = [["name", "Name"], ["driver", "Driver"], ["car_id", "Car"], ["notes", "Notes"]];
const HOW = { stopped: "stopped", restarted: "the device began a new run", recovered: "found open after a crash", silent: "nothing came for half an hour" };

export async function mount(element, options, view) {
  const id = await findSession(view.api, options.session);
  const facts = el("dl", { class: "figures" });
  const drive = el("dl", { class: "figures" });
  const body = el("tbody");
  const problem = el("p", { class: "bad", role: "alert" });
  const hint = el("p", { class: "hint" });
  const signals = el("details", { class: "session-signals", open: true }, el("summary", {}, "Signals"),
    el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Signals" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Signal", "Unit", "Readings", "Least", "Mean", "Most", "Predicted or lost"].map((head, i) =>
        el("th", { scope: "col", class: i > 1 ? "number" : "" }, head)))), body)));
  const editor = edit(view, id, problem, () => ask());
  element.append(el("div", { class: "session-facts" },
    el("section", { "aria-label": "Session" }, el("h2", {}, "Session"), facts, editor.element),
    el("section", { "aria-label": "Drive" }, el("h2", {}, "Drive"), drive, hint),
    el("section", { class: "session-table", "aria-label": "Statistics" }, el("h2", {}, "Statistics"), signals), problem));

  let isOver = false, timer = 0, resolutions = null;
  const ask = async () => {
    const found = await view.api.get(`/api/v1/sessions/${id}/statistics`);
    resolutions ??= new Map((await view.api.get("/api/v1/signals")).signals.map((signal) => [signal.name, signal.resolution]));
    if (isOver) return;
    draw(found);
    clearTimeout(timer);
    // A session that runs grows.
    if (found.session.state === "running") timer = setTimeout(() => ask().catch((error) => { problem.textContent = wordsOf(error).join(": "); }), ASK_MS);
  };
  const draw = ({ session, readings, drive: figures, signals: list }) => {
    element.dataset.session = String(session.id);
    editor.show(session);
    pairs(facts, [
      ["Number", `${session.id} (${session.kind}, ${session.state})`], ["Name", session.name], ["Device", session.device, `/device/${encodeURIComponent(session.device)}`],
      ["Vehicle", session.vin], ["Car", session.car_id], ["Driver", session.driver],
      ["Started", session.opened_ns === null ? null : wall(session.opened_ns / 1e6)],
      ["Ended", session.closed_ns === null ? null : wall(session.closed_ns / 1e6)],
      ["How", HOW[session.closed_how] ?? session.closed_how], ["Duration", session.duration_s === null ? null : length(session.duration_s)],
      ["Readings", number(readings)], ["Notes", session.notes],
    ]);
    pairs(drive, [
      ["Way", unit(figures.distance_m === null ? null : figures.distance_m / 1000, "km", 2)], ["Way is from", figures.distance_source],
      ["In motion", figures.moving_s ? length(figures.moving_s) : null], ["Engine ran", figures.engine_s ? length(figures.engine_s) : null],
      ["Mean while moving", unit(figures.average_kmh, "km/h", 1)], ["Fastest", unit(figures.max_kmh, "km/h", 1)],
      ["Most engine speed", unit(figures.max_rpm, "rpm", 0)], ["Fuel", unit(figures.fuel_l, "l", 2)],
      ["Fuel for 100 km", unit(figures.fuel_l_per_100km, "l", 1)], ["Fuel is from", figures.fuel_source],
    ]);
    hint.textContent = drive.childElementCount ? "" : "The readings tell nothing of a drive: there is no speed among them.";
    body.replaceChildren(...list.map((one) => el("tr", { "data-signal": one.signal },
      el("th", { scope: "row", title: one.signal }, readable(one.signal)), el("td", {}, one.unit), cell(number(one.count)),
      cell(value(one.min, one.signal)), cell(value(one.avg, one.signal, 1)), cell(value(one.max, one.signal)), cell(number(one.others)))));
    signals.hidden = list.length === 0;
  };
  /** As fine as the signal is; of a mean one digit more tells something. */
  const value = (found, name, more = 0) => {
    const digits = digitsOfResolution(resolutions?.get(name));
    return found === null ? "–" : reading(found, digits === null ? null : Math.min(digits + more, 6));
  };
  await ask();
  return { unmount() { isOver = true; clearTimeout(timer); } };
}

function unit(value, name, digits) { return value === null || value === undefined ? null : `${value.toFixed(digits)} ${name}`; }

function cell(text) { return el("td", { class: "number" }, text); }

function pairs(list, all) {
  const there = all.filter(([, text]) => text !== null && text !== undefined && text !== "");
  list.replaceChildren(...there.map(([name, text, href]) => el("div", { "data-fact": name }, el("dt", {}, name), el("dd", {}, href ? el("a", { href }, text) : text))));
}

/** A form for what somebody tells of the session. */
function edit(view, id, problem, done) {
  const inputs = new Map(EDITED.map(([key, label]) => [key, el(key === "notes" ? "textarea" : "input", { id: `session-${key}`, "aria-label": label, rows: key === "notes" ? "2" : null })]));
  const form = el("form", { class: "form" }, EDITED.map(([key, label]) => el("div", { class: "field" }, el("label", { for: `session-${key}` }, label), inputs.get(key))),
    el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Save")));
  const whole = el("details", { "data-role": "operator", class: "session-edit" }, el("summary", {}, "Change"), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await view.api.patch(`/api/v1/sessions/${id}`, Object.fromEntries([...inputs].map(([key, input]) => [key, input.value])));
      whole.open = false;
      await done();
    } catch (error) {
      problem.textContent = wordsOf(error).join(": ");
    }
  });
  return {
    element: whole,
    show(session) { if (!whole.open) for (const [key, input] of inputs) input.value = session[key] ?? ""; },
  };
}
