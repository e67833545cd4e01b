// /setup: the first admin of a gateway without users, with the code of its log.

import { field, form } from "../fields.js";
import { el } from "../words.js";

export async function mount(element, options, view) {
  const { api, state } = view;
  if (!view.config.gateway) {
    element.append(el("p", {}, "These pages show recorded runs: there are no users. "), el("a", { href: "/runs" }, "To the runs"));
    return;
  }
  const { needed } = await api.get("/api/v1/setup", {}, { quiet: true });
  if (!needed) {
    element.append(
      el("p", {}, "This gateway has users already; an admin adds others on the page of users. "),
      el("a", { href: "/login" }, "Sign in"),
    );
    return;
  }
  const send = async ({ code, name, password, again, email }) => {
    if (password !== again) throw new Error("the two passwords differ");
    await api.post("/api/v1/setup", { code: code.trim(), name, password, email }, { quiet: true });
    if (api.isForeign) await api.signIn(name, password);
    else await api.post("/api/v1/auth/login", { name, password }, { quiet: true });
    await state.load(api);
    view.go("/", { replace: true });
  };
  const made = form(
    "First admin",
    [
      field("Code", { name: "code", required: true, autocomplete: "one-time-code", spellcheck: "false", autocapitalize: "characters", placeholder: "XXXX-XXXX-XXXX-XXXX" }, "It stands in the gateway's log since its start, and counts once."),
      field("Name", { name: "name", required: true, autocomplete: "username", autocapitalize: "none", maxlength: 64 }),
      field("Password", { name: "password", type: "password", required: true, autocomplete: "new-password", maxlength: 1000 }, "Long is better than complicated: several words."),
      field("Password again", { name: "again", type: "password", required: true, autocomplete: "new-password", maxlength: 1000 }),
      field("Mail address (optional)", { name: "email", type: "email", autocomplete: "email", maxlength: 254 }),
    ],
    "Make the admin",
    send,
  );
  element.append(el("div", { class: "box" }, made));
  made.querySelector("input").focus();
}
