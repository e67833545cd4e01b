// Dialogs: the browser's own <dialog>, which keeps the focus and gives it back.

import { el } from "../words.js";

let count = 0;

/** Open a dialog; resolves when it is closed. `fillIn(close)` gives what stands in it. */
export function openDialog(title, fillIn, { name = "", closed = () => {} } = {}) {
  count += 1;
  const id = `dialog-${count}`;
  const opener = document.activeElement;
  const dialog = el("dialog", { class: "dialog", "aria-labelledby": id });
  if (name) dialog.dataset.name = name;
  const close = () => dialog.open && dialog.close();
  const head = el(
    "header",
    {},
    el("h2", { id }, title),
    el("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: close }, "✕"),
  );
  dialog.append(head, ...[fillIn(close)].flat());
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
    if (opener?.isConnected) opener.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close };
}

/** Ask before something is done; resolves to whether it shall be. */
export function confirmed(title, question, button, tone = "danger") {
  return new Promise((resolve) => {
    let answer = false;
    openDialog(
      title,
      (close) => [
        el("p", { class: "question" }, question),
        el(
          "footer",
          {},
          el("button", { type: "button", onclick: close, autofocus: true }, "Cancel"),
          el(
            "button",
            {
              type: "button",
              class: tone,
              "data-action": "confirm",
              onclick: () => {
                answer = true;
                close();
              },
            },
            button,
          ),
        ),
      ],
      { name: "confirm", closed: () => resolve(answer) },
    );
  });
}

/** Show values that are given this once, to be copied. */
export function reveal(title, values) {
  return new Promise((resolve) => {
    openDialog(
      title,
      (close) => [
        ...values.map(revealed),
        el("footer", {}, el("button", { type: "button", class: "primary", onclick: close }, "I have kept it")),
      ],
      { name: "reveal", closed: resolve },
    );
  });
}

function revealed({ label, value, note }) {
  count += 1;
  const id = `revealed-${count}`;
  const field = el("input", { id, class: "secret code", readonly: true, value: String(value), spellcheck: "false" });
  const said = el("span", { role: "status", class: "copied" });
  const copy = async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied";
    } catch {
      // Without a secure context there is no clipboard: what is selected can be copied by hand.
      said.textContent = "Selected: copy it with Ctrl+C";
    }
  };
  return el(
    "div",
    { class: "revealed" },
    el("label", { for: id }, label),
    el("div", { class: "with-button" }, field, el("button", { type: "button", "data-action": "copy", onclick: copy }, "Copy")),
    said,
    note ? el("p", { class: "hint" }, note) : null,
  );
}
