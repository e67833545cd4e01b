// Controls of a form: one element for each field, with label, hint and what is wrong with it.

import { el } from "../words.js";
import { textOf } from "./schema.js";

let count = 0;

/** Make the control of a field: {element, read() -> text, write(value), tell(problem), focus()}. */
export function control(field, offered, changed) {
  count += 1;
  const id = `field-${count}-${field.name}`;
  const inner = (MAKERS[field.kind] ?? oneLine)(field, id, offered);
  const hint = field.hint ? el("p", { class: "hint", id: `${id}-hint` }, field.hint) : null;
  const wrong = el("p", { class: "field-error", id: `${id}-wrong`, hidden: true });
  const isGroup = inner.isGroup === true;
  const element = el(
    isGroup ? "fieldset" : "div",
    { class: `field field-${field.kind} ${field.wide ? "wide" : ""}`.trim() },
    isGroup
      ? el("legend", {}, labelled(field))
      : field.kind === "flag"
        ? null
        : el("label", { for: id }, labelled(field)),
    inner.element,
    hint,
    wrong,
  );
  element.dataset.field = field.name;
  const main = inner.main ?? inner.element;
  if (hint) main.setAttribute("aria-describedby", `${id}-hint`);
  if (field.needed && !isGroup && field.kind !== "flag") main.setAttribute("aria-required", "true");
  element.addEventListener("input", () => changed(field, false));
  element.addEventListener("change", () => changed(field, false));
  // Not where a button is pressed: a line that comes now would move it away from under the pointer.
  element.addEventListener("focusout", ({ relatedTarget: next }) => {
    if (next && !element.contains(next) && next.tagName !== "BUTTON") changed(field, true);
  });
  return {
    element,
    field,
    read: inner.read,
    write: (value) => inner.write(textOf(field, value)),
    focus: () => (inner.first ?? (() => main))()?.focus(),
    tell(problem) {
      wrong.hidden = !problem;
      wrong.textContent = problem ? `${field.label}: ${problem}` : "";
      main.setAttribute("aria-describedby", [hint && `${id}-hint`, problem && `${id}-wrong`].filter(Boolean).join(" "));
      if (problem) main.setAttribute("aria-invalid", "true");
      else main.removeAttribute("aria-invalid");
    },
  };
}

function labelled(field) {
  return field.needed ? [field.label, el("span", { class: "needed", title: "needed" }, " *")] : [field.label];
}

function oneLine(field, id, offered) {
  const isNumber = field.kind === "number" || field.kind === "integer";
  const list = offered?.length ? datalist(id, offered) : null;
  const input = el("input", {
    id,
    name: field.name,
    type: field.kind === "password" ? "password" : "text",
    inputmode: isNumber ? "decimal" : null,
    autocomplete: field.kind === "password" ? "new-password" : "off",
    spellcheck: "false",
    list: list?.id,
    class: field.kind === "code" ? "code" : null,
  });
  return {
    element: list ? el("div", { class: "with-list" }, input, list) : input,
    main: input,
    read: () => input.value,
    write: (text) => (input.value = text),
  };
}

function datalist(id, offered) {
  return el("datalist", { id: `${id}-list` }, offered.map((one) => el("option", { value: one.value, label: one.label })));
}

function lines(field, id) {
  const input = el("textarea", { id, name: field.name, rows: field.kind === "object" ? "4" : "3", spellcheck: "false" });
  return { element: input, read: () => input.value, write: (text) => (input.value = text) };
}

function choice(field, id, offered) {
  const known = offered?.length ? offered.map((one) => [one.value, one.label]) : field.choices;
  const empty = field.needed || known.some(([value]) => String(value) === String(field.fallback)) ? [] : [["", "–"]];
  const input = el(
    "select",
    { id, name: field.name },
    [...empty, ...known].map(([value, label]) => el("option", { value: String(value) }, label)),
  );
  return {
    element: input,
    read: () => input.value,
    write: (text) => {
      input.value = text;
      if (input.selectedIndex < 0) input.selectedIndex = 0;
    },
  };
}

function flag(field, id) {
  const input = el("input", { id, name: field.name, type: "checkbox" });
  return {
    element: el("label", { class: "flag", for: id }, input, " ", field.label),
    main: input,
    read: () => input.checked,
    write: (value) => (input.checked = Boolean(value)),
  };
}

// Several of those that are known: a box for each. Where none is known they are typed.
function list(field, id, offered) {
  const known = offered?.length ? offered : field.choices.map(([value, label]) => ({ value, label }));
  if (known.length === 0) return typed(field, id);
  const boxes = new Map();
  const group = el("div", { class: "boxes" });
  const add = ({ value, label }) => {
    const box = el("input", { type: "checkbox", value: String(value), name: field.name });
    boxes.set(String(value), box);
    group.append(el("label", { class: "flag" }, box, " ", label));
  };
  known.forEach(add);
  return {
    element: group,
    isGroup: true,
    first: () => group.querySelector("input"),
    read: () => [...boxes].filter(([, box]) => box.checked).map(([value]) => value),
    write: (values) => {
      const wanted = Array.isArray(values) ? values.map(String) : [];
      for (const value of wanted) if (!boxes.has(value)) add({ value, label: value });
      for (const [value, box] of boxes) box.checked = wanted.includes(value);
    },
  };
}

function typed(field, id) {
  const input = el("input", { id, name: field.name, type: "text", autocomplete: "off", spellcheck: "false" });
  return {
    element: input,
    read: () => input.value,
    write: (values) => (input.value = Array.isArray(values) ? values.join(", ") : values),
  };
}

const MAKERS = { lines, object: lines, choice, flag, list };
