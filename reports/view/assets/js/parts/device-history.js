// What a device measured over hours and days: of each signal its mean, and the band from the least to
// the greatest value in each window, as the gateway computes them.

import { el, errorBox } from "../words.js";
import { number, wall } from "../table/values.js";
import { chart } from "../table/chart.js";

const SPANS = [
  ["3600", "last hour"],
  ["21600", "last 6 hours"],
  ["86400", "last day"],
  ["604800", "last week"],
  ["2592000", "last 30 days"],
];
const WINDOWS = 240;
const SHOWN = 6;

export async function mount(element, options, view) {
  const base = `/api/v1/devices/${encodeURIComponent(options.device)}`;
  const span = el("select", { name: "span", "data-control": "span" }, SPANS.map(([value, word]) => el("option", { value }, word)));
  const pick = el("details", { class: "menu" }, el("summary", { class: "button" }, "Signals"), el("div", { class: "menu-items picks" }));
  const charts = el("div", { class: "charts" });
  const said = el("p", { class: "count", role: "status" });
  let chosen = null, isOver = false, asked = 0;

  element.append(
    el("div", { class: "table-top" }, el("h2", {}, "History"), el("label", { class: "with-label" }, "Shown: ", span), pick, el("button", { type: "button", class: "quiet", "data-action": "refresh", onclick: () => load() }, "Refresh")),
    said,
    charts,
  );
  span.addEventListener("change", () => load());

  const names = async () => {
    const found = await view.api.get(`${base}/latest`);
    const all = found.latest.map((one) => [one.signal, one.unit, one.time_ns]);
    chosen ??= new Set(all.slice(0, SHOWN).map(([name]) => name));
    pick.lastElementChild.replaceChildren(
      ...all.map(([name]) => {
        const box = el("input", { type: "checkbox", value: name, checked: chosen.has(name) });
        box.addEventListener("change", () => {
          if (box.checked) chosen.add(name);
          else chosen.delete(name);
          load();
        });
        return el("label", { class: "flag" }, box, " ", name);
      }),
    );
    return new Map(all.map(([name, unit]) => [name, unit]));
  };

  const load = async () => {
    const mine = (asked += 1);
    try {
      const units = await names();
      const wanted = [...chosen].filter((name) => units.has(name));
      if (!wanted.length) {
        charts.replaceChildren();
        said.textContent = units.size ? "Choose signals to see their history." : "Nothing has been measured yet.";
        return;
      }
      const length_s = Number(span.value);
      const window_s = Math.max(1, Math.ceil(length_s / WINDOWS));
      const end_s = Math.ceil(Date.now() / 1000 / window_s) * window_s;
      const start_s = end_s - length_s;
      const query = { start_ns: `${start_s}000000000`, end_ns: `${end_s}000000000`, window_s, signal: wanted };
      const { windows } = await view.api.get(`${base}/aggregate`, query);
      if (isOver || mine !== asked) return;
      said.textContent = windows.length
        ? `${wall(start_s * 1e3)} to ${wall(end_s * 1e3)}; line: mean, band: least to greatest, in windows of ${window_s} s.`
        : "Nothing was measured in this time.";
      charts.replaceChildren(
        ...wanted.map((name) => {
          const own = windows.filter((one) => one.signal === name && one.count > 0);
          return figure(name, units.get(name), own, start_s, end_s, window_s);
        }),
      );
    } catch (error) {
      if (!isOver) charts.replaceChildren(errorBox(error, { view, again: load }));
    }
  };

  const figure = (name, unit, windows, start_s, end_s, window_s) => {
    const least = Math.min(...windows.map((one) => one.min));
    const greatest = Math.max(...windows.map((one) => one.max));
    const readings = windows.reduce((sum, one) => sum + one.count, 0);
    const facts = windows.length
      ? `${number(least)} to ${number(greatest)} ${unit}, ${number(readings)} readings`
      : "no reading in this time";
    return el(
      "figure",
      { class: "chart", "data-signal": name },
      el("figcaption", {}, el("strong", {}, name), ` ${facts}`),
      windows.length ? chart({ windows, start_s, end_s, window_s, unit, name }) : null,
    );
  };

  await load();
  return {
    unmount() {
      isOver = true;
    },
  };
}
