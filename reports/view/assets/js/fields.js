// Plain labelled fields, and a form that says in words what failed. For the shell's own pages.

import { ApiError } from "./api.js";
import { el, wordsOf } from "./words.js";

let count = 0;

/** A label, an input, and a hint below: field("Name", {name: "user", required: true}, "hint"). */
export function field(label, attributes, hint = "", input = null) {
  const id = `field-${(count += 1)}`;
  const control = input ?? el("input", {});
  control.id = id;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) control.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) control.setAttribute(key, value);
  }
  const told = hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  if (told) control.setAttribute("aria-describedby", told.id);
  return el("div", { class: "field" }, el("label", { for: id }, label), control, told);
}

/** A select with [value, text] pairs. */
export function choice(label, name, pairs, value, hint = "") {
  const select = el("select", {}, pairs.map(([one, text]) => el("option", { value: one, selected: one === value }, text)));
  return field(label, { name }, hint, select);
}

/** A form whose `send(values)` may throw; what it throws is told above the button, and read out. */
export function form(name, fields, button, send) {
  const trouble = el("p", { class: "field-error", role: "alert" });
  const submit = el("button", { type: "submit", class: "primary" }, button);
  const made = el("form", { class: "form", "aria-label": name, novalidate: false }, fields, trouble, el("div", { class: "actions" }, submit));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    trouble.textContent = "";
    try {
      await send(Object.fromEntries(new FormData(made)));
    } catch (error) {
      // Of a form, what is wrong is the sentence: the title of a status says nothing more.
      trouble.textContent = error instanceof ApiError && error.status ? error.detail : wordsOf(error).join(": ");
      if (error.retryAfterS) trouble.textContent += `. Try again in ${Math.ceil(error.retryAfterS)} s.`;
      trouble.focus?.();
    } finally {
      submit.disabled = false;
    }
  });
  return made;
}
