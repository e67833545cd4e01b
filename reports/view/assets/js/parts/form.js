// A form in the page (reports/view/form.py): {action, vars, values}. What the action says is done is
// said below it; tables of the page that are named in `reloads` load again.

import { el } from "../words.js";
import { fieldsOfForm, formView } from "../form/view.js";
import { reveal } from "../form/dialog.js";
import { address, at, fill } from "../table/values.js";

export async function mount(element, options, view) {
  const { action, vars = {}, values = {}, reloads = [] } = options;
  const status = el("p", { class: "status", role: "status" });
  const build = async () => {
    if (!view.state.can(action.role ?? "viewer")) {
      element.replaceChildren();
      return;
    }
    const fields = await fieldsOfForm(action.form, action.method, action.path, view);
    const made = await formView(action.form, fields, {
      view,
      values,
      rows: [vars],
      send: async (body) => {
        status.textContent = "";
        const answer = await view.api.request(action.method, address(action.path, vars), action.form.query ? { query: body } : { body });
        status.className = "status good";
        status.textContent = `✓ ${fill(action.done || `${action.label}: done.`, answer ?? {}, vars)}`;
        made.write(values);
        for (const name of reloads) dispatchEvent(new CustomEvent("listing-changed", { detail: { name } }));
        const shown = (action.reveal ?? []).map((one) => ({ ...one, value: at(answer ?? {}, one.key) }));
        if (shown.length) await reveal(action.label, shown);
        if (action.leads_to) view.go(address(action.leads_to, answer ?? {}, vars));
      },
    });
    element.replaceChildren(el("h2", {}, action.form.title), made.element, status);
  };
  const off = view.state.on("me", build);
  await build();
  return { unmount: off };
}
