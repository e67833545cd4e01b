// What can be done with a row, or beside a table: asked for, sent, said.

import { confirmed, openDialog, reveal } from "../form/dialog.js";
import { fieldsOfForm, formView } from "../form/view.js";
import { queryText } from "../api.js";
import { el, wordsOf } from "../words.js";
import { download } from "./download.js";
import { address, at, fill, fits } from "./values.js";

/** The actions that somebody may see for a row. */
export function offeredActions(actions, row, view) {
  return (actions ?? []).filter((one) => view.state.can(one.role ?? "viewer") && fits(row ?? {}, one.when));
}

/**
 * The button of an action.
 *
 * @param {object} context {view, row, vars, say(text, tone), done(answer), name: of the row}
 */
export function actionButton(action, context) {
  const { view, row, vars } = context;
  if (action.menu?.length) return menuButton(action, context);
  if (!action.method && !action.download && !action.shows) {
    return el("a", { class: "button", href: address(action.path, row, vars), "data-action": action.name }, action.label);
  }
  const button = el(
    "button",
    {
      type: "button",
      class: action.tone === "danger" ? "quiet danger" : (action.tone ?? ""),
      "data-action": action.name,
      "aria-label": context.name ? `${action.label}: ${context.name}` : null,
      onclick: () => run(action, { ...context, button }).catch((error) => context.say(wordsOf(error).join(": "), "bad")),
    },
    action.label,
  );
  return button;
}

function menuButton(action, context) {
  const offered = offeredActions(action.menu, context.row, context.view);
  const inside = el("div", { class: "menu-items", role: "group", "aria-label": action.label });
  const made = el(
    "details",
    { class: "menu", "data-action": action.name },
    el("summary", { class: "button", "aria-label": context.name ? `${action.label}: ${context.name}` : null }, action.label),
    inside,
  );
  // Made when it is opened: a table of a hundred rows would have a thousand buttons.
  made.addEventListener("toggle", () => {
    if (made.open && !inside.childNodes.length) inside.append(...offered.map((one) => actionButton(one, { ...context, name: "" })));
  });
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !made.open) return;
    event.stopPropagation();
    made.open = false;
    made.querySelector("summary").focus();
  });
  made.addEventListener("focusout", (event) => {
    if (!made.contains(event.relatedTarget) && event.relatedTarget) made.open = false;
  });
  return made;
}

/** Do an action: its form, its question, its request. */
export async function run(action, context) {
  const { view, row, vars, say } = context;
  if (action.shows) {
    showParts(action, context);
    return;
  }
  if (action.download && !action.form) {
    await download(view, address(action.path, row, vars), say);
    return;
  }
  if (action.confirm && !(await asked(action.confirm, action, row, vars))) return;
  if (action.form) {
    await withForm(action, context);
    return;
  }
  context.button?.classList.add("busy");
  try {
    await finish(action, await send(action, action.body ?? undefined, context), context);
  } finally {
    context.button?.classList.remove("busy");
  }
}

function asked(confirm, action, row, vars) {
  return confirmed(action.label, fill(confirm.text, row, vars), confirm.button ?? "Yes", confirm.tone ?? "danger");
}

async function withForm(action, context) {
  const { view, row, vars } = context;
  const form = action.form;
  const fields = await fieldsOfForm(form, action.method, action.path, view);
  let opened = null;
  const made = await formView(form, fields, {
    view,
    rows: [row, vars],
    values: form.fill ? at(row, form.fill) ?? {} : {},
    cancel: () => opened.close(),
    tone: action.tone === "danger" ? "danger" : "primary",
    send: async (body) => {
      if (action.download) {
        await downloadWith(action, body, context);
        opened.close();
        return;
      }
      const answer = await send(action, body, context, form.query);
      opened.close();
      await finish(action, answer, context);
    },
  });
  opened = openDialog(fill(form.title, row, vars), () => made.element, { name: action.name });
  made.focus();
}

/** A file for which something was asked: what stands in its address, and the rest as parameters. */
function downloadWith(action, body, { view, row, vars, say }) {
  const query = Object.fromEntries(Object.entries(body).filter(([name]) => !action.path.includes(`{${name}}`)));
  return download(view, address(action.path, body, row, vars) + queryText(query), say);
}

/** Parts in a dialog; the frame brings them to life. */
function showParts(action, { row, vars, name }) {
  openDialog(
    name ? `${action.label}: ${name}` : action.label,
    () =>
      action.shows.map(({ part, options }) =>
        el("div", {
          class: `part part-${part}`,
          "data-part": part,
          "data-options": JSON.stringify({ ...options, vars: { ...vars, ...flat(row) } }),
        }),
      ),
    { name: action.name },
  );
}

function flat(row) {
  return Object.fromEntries(Object.entries(row ?? {}).filter(([, value]) => value === null || typeof value !== "object"));
}

function send(action, body, { view, row, vars }, isQuery = false) {
  const path = address(action.path, row, vars);
  return view.api.request(action.method, path, isQuery ? { query: body } : { body });
}

async function finish(action, answer, context) {
  const { view, row, vars, say } = context;
  const values = (action.reveal ?? [])
    .map((one) => ({ label: one.label, note: one.note, value: at(answer ?? {}, one.key) }))
    .filter((one) => one.value !== undefined && one.value !== null);
  say(fill(action.done ?? "", answer ?? {}, row, vars) || `${action.label}: done.`, "good");
  await context.done?.(answer);
  if (values.length) await reveal(fill(action.done ?? "", answer ?? {}, row, vars) || action.label, values);
  if (action.leads_to) view.go(address(action.leads_to, answer ?? {}, row, vars));
}
