// In the header: who is signed in, and out.

import { el } from "../words.js";

export function mount(element, options, view) {
  const draw = () => {
    const { me } = view.state;
    if (!view.config.gateway) return element.replaceChildren();
    if (me.kind === "nobody") return element.replaceChildren(el("a", { href: "/login", class: "user" }, "Sign in"));
    const leave = el("button", { type: "button", onclick: () => signOut(view) }, "Sign out");
    const menu = el(
      "details",
      { class: "user" },
      el("summary", {}, el("span", { class: "user-name" }, me.name), el("span", { class: "user-role" }, ` ${me.role}`)),
      el("div", { class: "menu" }, view.state.isSignedIn ? leave : el("a", { href: "/login" }, "Sign in")),
    );
    element.replaceChildren(menu);
  };
  draw();
  const close = (event) => {
    const menu = element.querySelector("details[open]");
    if (menu && (event.key === "Escape" || (event.type === "click" && !menu.contains(event.target)))) menu.open = false;
  };
  document.addEventListener("click", close);
  document.addEventListener("keydown", close);
  const off = view.state.on("me", draw);
  return {
    unmount() {
      off();
      document.removeEventListener("click", close);
      document.removeEventListener("keydown", close);
    },
  };
}

async function signOut(view) {
  dispatchEvent(new CustomEvent("telerig:leave")); // nothing asks any more for what is no longer allowed
  try {
    if (view.api.isForeign) await view.api.signOut();
    else await view.api.post("/api/v1/auth/logout");
  } catch (error) {
    // The session is already over, or nothing answers: then it is not, and the page goes on.
    if (error.status !== 401) return location.reload();
  }
  view.state.signedOut();
  view.go("/login");
}
