// One object of the API as names and values (reports/view/listing.py, Facts), with what may be done.

import { el, errorBox } from "../words.js";
import { actionButton, offeredActions } from "../table/actions.js";
import { cellOf } from "../table/cell.js";
import { address, at } from "../table/values.js";

export async function mount(element, options, view) {
  const { facts, vars = {} } = options;
  const status = el("p", { class: "status", role: "status" });
  const inside = el("div");
  let isOver = false, text = "", timer = 0;
  element.replaceChildren(status, inside);

  const load = async (isQuiet = false) => {
    if (isQuiet && (document.hidden || inside.querySelector("details[open]"))) return;
    try {
      const answer = await view.api.get(address(facts.api, vars));
      const found = JSON.stringify(answer);
      if (isOver || (isQuiet && found === text)) return;
      text = found;
      draw(at(answer, facts.of ?? "") ?? {});
    } catch (error) {
      text = "";
      if (isOver) return;
      if (error.status === 404 && facts.missing) {
        clearInterval(timer); // it does not come by waiting
        inside.replaceChildren(el("p", { class: "note" }, facts.missing));
      } else {
        inside.replaceChildren(errorBox(error, { view, again: () => load() }));
      }
    }
  };
  const draw = (row) => {
    const context = {
      view,
      row,
      vars,
      say: (said, tone = "") => {
        status.className = `status ${tone}`;
        status.textContent = (tone === "good" ? "✓ " : "") + said;
      },
      done: load,
    };
    const actions = offeredActions(facts.actions, row, view).map((one) => actionButton(one, context));
    inside.replaceChildren(
      el(
        "div",
        { class: "table-top" },
        facts.title ? el("h2", {}, facts.title) : null,
        actions.length ? el("div", { class: "table-actions" }, actions) : null,
      ),
      el(
        "dl",
        { class: "facts", "data-facts": facts.name },
        facts.columns.map((column) =>
          el(
            "div",
            {},
            el("dt", { title: column.hint }, column.label),
            el("dd", { "data-column": column.key }, cellOf(column, row, vars), column.unit && at(row, column.key) !== null ? el("span", { class: "unit" }, ` ${column.unit}`) : null),
          ),
        ),
      ),
    );
  };

  const heard = () => load(true);
  addEventListener("listing-done", heard);
  const off = view.state.on("me", () => load());
  if (facts.refresh_s) timer = setInterval(() => load(true), facts.refresh_s * 1000);
  await load();
  return {
    unmount() {
      isOver = true;
      clearInterval(timer);
      removeEventListener("listing-done", heard);
      off();
    },
  };
}
