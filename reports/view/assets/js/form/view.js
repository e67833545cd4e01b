// A form: fields, checks before sending, what the API refuses beside its field, busy, done.

import { el, errorBox } from "../words.js";
import { rowsOf } from "../table/rows.js";
import { address, at, fill } from "../table/values.js";
import { control } from "./controls.js";
import { counts, collect, fieldAtFault, fieldOf, fieldsOf, operationOf, schemaOf } from "./schema.js";

/** The gateway's OpenAPI document, asked for once; an empty one where it cannot be had. */
export function documentOf(view) {
  view.api.document ??= view.api.get("/openapi.json").catch(() => {
    view.api.document = undefined;
    return { paths: {}, components: {} };
  });
  return view.api.document;
}

/** Make the fields of a declared form, with what the schema of its request knows. */
export async function fieldsOfForm(form, method, path, view) {
  const document = await documentOf(view);
  let schema = schemaOf(document, operationOf(document, method || "GET", form.schema || path), form.query);
  if (form.under) schema = {};
  return form.fields.map((one) =>
    fieldOf(one, schema.properties?.[one.name], (schema.required ?? []).includes(one.name), document),
  );
}

export { fieldsOf };

/** Values that the API offers for a field; none where it does not. */
async function offeredFor(field, view, rows) {
  const options = field.options;
  if (!options || !view.state.can(options.role ?? "viewer")) return null;
  try {
    const answer = await view.api.get(address(options.api, ...rows));
    return rowsOf(answer, options.rows).map((row) => {
      const value = at(row, options.value);
      return { value, label: options.label ? fill(options.label, row) : String(value) };
    });
  } catch {
    return null; // they can still be typed
  }
}

/**
 * Build a form.
 *
 * @param {object} form declared: {submit, changes_only, body, query, under}
 * @param {object[]} fields of `fieldsOfForm` or `fieldsOf`
 * @param {object} given
 *   values: at first, by name; rows: for addresses of options; send(body) -> promise, rejects with
 *   ApiError; cancel: makes a button; tone: of the submit button
 */
export async function formView(form, fields, { view, values = {}, rows = [], send, cancel = null, tone = "primary" }) {
  const offered = await Promise.all(fields.map((field) => offeredFor(field, view, rows)));
  const first = {};
  const wasTold = new Set();
  const controls = fields.map((field, index) => control(field, offered[index], changed));
  const byName = new Map(controls.map((one) => [one.field.name, one]));
  const problem = el("div", { class: "form-problem" });
  const button = el("button", { type: "submit", class: tone }, form.submit);
  const element = el(
    "form",
    { class: "form", novalidate: true, onsubmit: submit, autocomplete: "off" },
    el("div", { class: "fields" }, controls.map((one) => one.element)),
    problem,
    el("footer", {}, cancel ? el("button", { type: "button", onclick: cancel }, "Cancel") : null, button),
  );
  write(values);
  let isBusy = false;

  function write(given) {
    for (const one of controls) {
      const value = Object.hasOwn(given, one.field.name) ? given[one.field.name] : one.field.value;
      first[one.field.name] = Object.hasOwn(given, one.field.name) ? given[one.field.name] : undefined;
      one.write(value);
      one.tell("");
    }
    show();
  }

  function texts() {
    return Object.fromEntries(controls.map((one) => [one.field.name, one.read()]));
  }

  function show() {
    const now = texts();
    for (const one of controls) one.element.hidden = !counts(one.field, now);
  }

  function changed(field, isLeft) {
    show();
    if (!isLeft && !wasTold.has(field.name)) return;
    const { problems } = collect([field], texts());
    tell(field.name, problems[field.name] ?? "");
  }

  function tell(name, text) {
    if (text) wasTold.add(name);
    byName.get(name)?.tell(text);
  }

  async function submit(event) {
    event.preventDefault();
    if (isBusy) return;
    problem.replaceChildren();
    const { body, problems } = collect(fields, texts(), { changesOnly: form.changes_only, first });
    for (const one of controls) tell(one.field.name, problems[one.field.name] ?? "");
    const wrong = controls.find((one) => problems[one.field.name]);
    if (wrong) {
      wrong.focus();
      return;
    }
    if (form.changes_only && Object.keys(body).length === 0) {
      problem.append(el("p", { role: "status" }, "Nothing was changed."));
      return;
    }
    const whole = form.under ? { ...form.body, [form.under]: body } : { ...form.body, ...body };
    setBusy(true);
    try {
      await send(whole);
    } catch (error) {
      refused(error);
    } finally {
      setBusy(false);
    }
  }

  function refused(error) {
    const field = error.status === 400 || error.status === 409 ? fieldAtFault(fields, error.where) : null;
    if (field) {
      tell(field.name, error.expected ? `expected ${error.expected}, found ${error.found}` : error.detail);
      byName.get(field.name).focus();
      return;
    }
    problem.replaceChildren(errorBox(error, { view }));
  }

  function setBusy(busy) {
    isBusy = busy;
    button.setAttribute("aria-disabled", String(busy)); // disabled would lose the focus
    element.setAttribute("aria-busy", String(busy));
    button.classList.toggle("busy", busy);
  }

  return { element, write, texts, focus: () => controls.find((one) => !one.element.hidden)?.focus() };
}
