// In the header: whether the API answers.

import { el } from "../words.js";

const WORDS = {
  unknown: ["…", "Connecting"],
  up: ["connected", "The API answers"],
  away: ["no answer", "The API does not answer"],
  offline: ["offline", "This device is offline"],
};

export function mount(element, options, view) {
  const text = el("span", { class: "link-state-text" });
  const dot = el("span", { class: "dot", "aria-hidden": "true" });
  const box = el("span", { class: "link-state", role: "status" }, dot, text);
  element.append(box);
  const draw = () => {
    const [word, title] = WORDS[view.state.connection];
    box.dataset.state = view.state.connection;
    box.title = title;
    text.textContent = word;
  };
  draw();
  const off = view.state.on("connection", draw);
  const offline = () => view.state.setConnection("offline");
  const online = () => view.state.setConnection("unknown");
  addEventListener("offline", offline);
  addEventListener("online", online);
  return {
    unmount() {
      off();
      removeEventListener("offline", offline);
      removeEventListener("online", online);
    },
  };
}
