// Trouble codes of the car at the gateway's own OBD link: read, and cleared after a question.

import { el, errorBox } from "../words.js";
import { confirmed } from "../form/dialog.js";

const KINDS = [
  ["stored", "Stored"],
  ["pending", "Pending"],
  ["permanent", "Permanent"],
];

export async function mount(element, options, view) {
  const own = (await view.api.get("/api/v1/telemetry/status").catch(() => null))?.device;
  if (own !== options.device) {
    element.append(
      el("p", { class: "note" }, "Trouble codes of a remote device's car are read and cleared by its commands; those of the gateway's own car at ", el("a", { href: `/device/${encodeURIComponent(own ?? "")}#codes` }, own ?? "its device"), "."),
    );
    return {};
  }
  const found = el("div", { class: "codes" });
  const status = el("p", { class: "status", role: "status" });
  const act = (name, label, run, tone = "") =>
    el("button", { type: "button", class: tone, "data-action": name, onclick: (event) => busy(event.currentTarget, run) }, label);
  const buttons = el(
    "div",
    { class: "table-actions" },
    act("read-codes", "Read the codes", read, "primary"),
    act("clear-codes", "Clear the codes", clear, "quiet danger"),
  );
  element.append(el("div", { class: "table-top" }, el("h2", {}, "Trouble codes of the car"), buttons), status, found);

  async function busy(button, run) {
    if (button.classList.contains("busy")) return;
    button.classList.add("busy");
    try {
      await run();
    } catch (error) {
      status.textContent = "";
      found.replaceChildren(errorBox(error, { view }));
    } finally {
      button.classList.remove("busy");
    }
  }

  async function read() {
    status.textContent = "Asking the car …";
    const answer = await view.api.get("/api/v1/obd/dtcs");
    status.textContent = answer.count ? `${answer.count} codes (${answer.vin ?? answer.link}).` : "✔ The car has no trouble codes.";
    show(answer.codes);
  }

  async function clear() {
    const text = "Clear the car's trouble codes? Its readiness monitors start anew. It is refused unless the car says that it stands.";
    if (!(await confirmed("Clear the codes", text, "Clear them"))) return;
    const answer = await view.api.post("/api/v1/obd/dtcs/clear", { confirm: true });
    const refused = Object.entries(answer.refused);
    status.textContent = `Cleared by ${answer.cleared.join(", ") || "no ECU"}${refused.length ? `; refused: ${refused.map((one) => one.join(" ")).join(", ")}` : ""}.`;
    show(answer.left);
  }

  function show(codes) {
    const rows = KINDS.flatMap(([kind, word]) =>
      Object.entries(codes[kind] ?? {}).flatMap(([ecu, list]) => list.map((code) => [code, word, ecu])),
    );
    found.replaceChildren(
      el(
        "div",
        { class: "table-scroll" },
        el(
          "table",
          { class: "listing", "data-listing": "codes" },
          el("thead", {}, el("tr", {}, ["Code", "Kind", "ECU"].map((one) => el("th", { scope: "col" }, one)))),
          el("tbody", {}, rows.map(([code, word, ecu]) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, code)), el("td", { "data-label": "Kind" }, word), el("td", { "data-label": "ECU" }, ecu)))),
        ),
      ),
    );
  }
  return {};
}
