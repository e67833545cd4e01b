// In the header: as the system has it, light, dark.

import { readSettings, writeSettings } from "../settings.js";
import { el } from "../words.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SIGN = { auto: "◐", light: "☀", dark: "☾" };

export function mount(element) {
  const button = el("button", { type: "button", class: "quiet" });
  const draw = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = SIGN[theme];
    button.setAttribute("aria-label", `Theme: ${theme}. Change to ${NEXT[theme]}`);
    button.title = `Theme: ${theme}`;
  };
  const set = (theme) => {
    writeSettings({ ...readSettings(), theme });
    draw(theme);
    dispatchEvent(new CustomEvent("telerig:theme", { detail: theme })); // what is on a canvas is drawn anew
  };
  button.addEventListener("click", () => set(NEXT[readSettings().theme] ?? "auto"));
  draw(readSettings().theme in NEXT ? readSettings().theme : "auto");
  element.append(button);
}
