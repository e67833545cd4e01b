// Short lines over the page: what failed outside of any part, a new version, being offline.

import { el, wordsOf } from "../words.js";

export function mount(element, options, view) {
  element.setAttribute("role", "status");
  const lines = new Map(); // key -> element

  const show = (key, text, { tone = "warn", action = null } = {}) => {
    hide(key);
    const close = el("button", { type: "button", class: "quiet", "aria-label": "Close this notice", onclick: () => hide(key) }, "×");
    const line = el("p", { class: `notice ${tone}` }, el("span", {}, text), action && el("button", { type: "button", onclick: action.run }, action.name), close);
    lines.set(key, line);
    element.append(line);
  };
  const hide = (key) => {
    lines.get(key)?.remove();
    lines.delete(key);
  };
  const failed = (event) => {
    const error = event.reason ?? event.error;
    if (!error || error.name === "AbortError") return;
    show("failed", wordsOf(error).join(": "), { tone: "bad" });
  };
  const told = (event) => (event.detail.text ? show(event.detail.key, event.detail.text, event.detail) : hide(event.detail.key));
  const connection = () => {
    const { connection, kept } = view.state;
    const why = connection === "offline" ? "This device is offline" : "There is no connection";
    if (kept) show("offline", `${why}. What is shown is the last state, of ${kept.toLocaleString()}.`);
    else if (connection === "offline") show("offline", `${why}. What is shown is the last that came.`);
    else hide("offline");
  };
  addEventListener("unhandledrejection", failed);
  addEventListener("error", failed);
  addEventListener("telerig:notice", told);
  const off = view.state.on("connection", connection);
  connection();
  return {
    unmount() {
      removeEventListener("unhandledrejection", failed);
      removeEventListener("error", failed);
      removeEventListener("telerig:notice", told);
      off();
    },
  };
}
