// /login?next=/…: name and password; afterwards back to where one came from.

import { field, form } from "../fields.js";
import { el } from "../words.js";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export async function mount(element, options, view) {
  const { api, state, config } = view;
  if (!config.gateway) {
    element.append(el("p", {}, "These pages show recorded runs: there is nobody to sign in as. "), el("a", { href: "/runs" }, "To the runs"));
    return;
  }
  const next = nextOf(location.search);
  const send = async ({ name, password }) => {
    if (api.isForeign) await api.signIn(name, password);
    else await api.post("/api/v1/auth/login", { name, password }, { quiet: true });
    await state.load(api);
    view.go(next, { replace: true });
  };
  const notes = el("div", {});
  const made = form(
    "Sign in",
    [
      field("Name", { name: "name", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, maxlength: 64 }),
      field("Password", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 1000 }),
    ],
    "Sign in",
    send,
  );
  element.append(el("div", { class: "box" }, notes, made));
  if (state.isSignedIn) notes.append(el("p", { class: "hint" }, `You are signed in as ${state.me.name}. Sign in as somebody else:`));
  if (location.protocol === "http:" && !LOOPBACK.test(location.hostname)) {
    notes.append(el("p", { class: "notice warn" }, "This connection is not encrypted: others in this network can read the password."));
  }
  made.querySelector("input").focus();
  // Nobody can sign in to a gateway without users: its first admin is made elsewhere.
  const { needed } = await api.get("/api/v1/setup", {}, { quiet: true }).catch(() => ({ needed: false }));
  if (needed) {
    notes.prepend(el("p", { class: "notice info" }, el("span", {}, "This gateway has no users yet. "), el("a", { href: "/setup" }, "Make the first admin")));
  }
}

/** Where to go afterwards: only to pages of ours. */
export function nextOf(search) {
  const next = new URLSearchParams(search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}
