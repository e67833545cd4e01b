// Errors as words in the page; small makers of elements that all parts use.

import { ApiError } from "./api.js";

/** Make an element: el("button", {class: "primary", onclick: fn, "aria-label": "…"}, "text", child). */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on") && typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** What to tell somebody about an error: a title and a sentence. */
export function wordsOf(error) {
  if (!(error instanceof ApiError)) {
    return ["This part of the page failed", String(error?.message ?? error)];
  }
  const title =
    {
      0: "No connection",
      401: "Sign in to see this",
      403: "This needs another role",
      404: "It is not there",
      409: "It cannot be done now",
      429: "Too many requests",
      502: "The gateway does not answer",
      503: "It is busy, or its database is away",
      504: "The gateway does not answer",
    }[error.status] ?? error.title;
  const wait = error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
  return [title, error.detail + wait];
}

/** A box that says what failed; with a way on. */
export function errorBox(error, { part = "", again = null, view = null } = {}) {
  const [title, text] = wordsOf(error);
  const box = el("div", { class: "error-box", role: "alert" }, el("strong", {}, title), el("p", {}, text));
  const ways = el("p", { class: "ways" });
  if (error?.status === 401 && view?.config.gateway) {
    ways.append(el("a", { class: "button", href: `/login?next=${encodeURIComponent(location.pathname + location.search)}` }, "Sign in"));
  }
  if (again) ways.append(el("button", { type: "button", onclick: again }, "Try again"));
  if (ways.childNodes.length) box.append(ways);
  if (part) box.dataset.failed = part;
  return box;
}
