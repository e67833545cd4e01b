// Tabs: of several parts one is shown and lives; the address keeps which (`#name`).

import { el } from "../words.js";

let count = 0;

export function mount(element, options, view) {
  count += 1;
  const prefix = `tabs-${count}`;
  let chosen = "";
  const list = el("div", { class: "tablist", role: "tablist", "aria-label": options.label ?? "Parts of this page" });
  const panel = el("div", { class: "tabpanel", role: "tabpanel", id: `${prefix}-panel`, tabindex: "0" });
  const allowed = () => options.tabs.filter((one) => view.state.can(one.role ?? "viewer") || (one.role ?? "viewer") === "viewer");

  const build = () => {
    list.replaceChildren(
      ...allowed().map((one) =>
        el(
          "button",
          { type: "button", role: "tab", id: `${prefix}-${one.name}`, "data-tab": one.name, "aria-controls": panel.id, onclick: () => choose(one.name) },
          one.label,
        ),
      ),
    );
    element.replaceChildren(list, panel);
    const named = location.hash.slice(1);
    const start = allowed().find((one) => one.name === named) ?? allowed()[0];
    chosen = "";
    choose(start.name, { isQuiet: true });
  };

  const choose = (name, { isQuiet = false } = {}) => {
    if (name === chosen) return;
    chosen = name;
    for (const tab of list.children) {
      const isChosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    const tab = options.tabs.find((one) => one.name === name);
    panel.setAttribute("aria-labelledby", `${prefix}-${name}`);
    // The frame brings it to life, and ends what was there before.
    panel.replaceChildren(...(tab.parts ?? [tab]).map(place));
    if (!isQuiet) history.replaceState(history.state, "", `${location.pathname}${location.search}#${name}`);
  };

  const place = ({ part, options: given }) =>
    el("div", { class: `part part-${part}`, "data-part": part, "data-options": JSON.stringify(given ?? {}) });

  list.addEventListener("keydown", (event) => {
    const tabs = [...list.children];
    const here = tabs.findIndex((tab) => tab.dataset.tab === chosen);
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tab = tabs[(next + tabs.length) % tabs.length];
    choose(tab.dataset.tab);
    tab.focus();
  });
  const hash = () => {
    const named = location.hash.slice(1);
    if (allowed().some((one) => one.name === named)) choose(named, { isQuiet: true });
  };
  addEventListener("hashchange", hash);
  const off = view.state.on("me", build);
  build();
  return {
    unmount() {
      removeEventListener("hashchange", hash);
      off();
    },
  };
}
