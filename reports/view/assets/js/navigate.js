// From page to page without loading everything again, as Dash's own links do it.

/** Go to an address of ours. */
export function go(href, { replace = false } = {}) {
  const target = new URL(href, location.href);
  if (target.origin !== location.origin) {
    location.assign(target.href);
    return;
  }
  history[replace ? "replaceState" : "pushState"]({}, "", target.href);
  dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  scrollTo(0, 0);
}

/** Take plain clicks on our own links, also those that parts have made. */
export function followLinks(root, pages) {
  const ours = new RegExp(`^(${pages.map((path) => path.replace(/[.]/g, "\\.").replace(/<\w+>/g, "[^/]+")).join("|")})$`);
  root.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || link.hasAttribute("download")) return;
    const target = new URL(link.href, location.href);
    if (target.origin !== location.origin || !ours.test(target.pathname)) return;
    if (target.hash && target.pathname === location.pathname && target.search === location.search) return;
    event.preventDefault();
    go(target.href);
  });
}

/** Mark where we are in the navigation, and close the menu of a narrow window. */
export function whenPageChanges(root) {
  const mark = () => {
    const here = location.pathname === "/" || location.pathname === "/index.html" ? null : location.pathname;
    for (const link of root.querySelectorAll("#nav a")) {
      const path = new URL(link.href).pathname;
      if (path === here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  const toggle = (open) => {
    root.documentElement.classList.toggle("nav-open", open);
    root.getElementById("nav-toggle")?.setAttribute("aria-expanded", String(open));
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("#nav-toggle");
    if (button) toggle(button.getAttribute("aria-expanded") !== "true");
    else if (!event.target.closest?.("#nav") || event.target.closest?.("a")) toggle(false);
  });
  root.addEventListener("keydown", (event) => event.key === "Escape" && toggle(false));
  addEventListener("popstate", mark);
  addEventListener("_dashprivate_pushstate", mark);
  // The navigation itself comes with Dash's layout, after this script.
  const waiting = new MutationObserver(() => {
    if (!root.getElementById("nav")) return;
    waiting.disconnect();
    mark();
  });
  waiting.observe(root.body, { childList: true, subtree: true });
}
