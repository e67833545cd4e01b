// Brings parts to life: elements with data-part="name" get ../parts/<name>.js, as long as they are
// in the page. A part that fails becomes words in its place.
//
//   export async function mount(element, options, view) { …; return {unmount() {…}} }
//
// unmount() must stop timers, sockets and frames; it is also called when options change.

import { el, errorBox } from "./words.js";

const NAME = /^[a-z][a-z0-9-]*$/;
const mounted = new Map(); // element -> {name, text, handle, isOver, wantsConnection}

export function start(view, root = document.body) {
  const look = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.dataset.part) begin(node, view);
    for (const one of node.querySelectorAll("[data-part]")) begin(one, view);
  };
  new MutationObserver((changes) => {
    let removed = false;
    for (const change of changes) {
      if (change.type === "attributes") begin(change.target, view);
      removed ||= hasElement(change.removedNodes); // live readouts change text, many times a second
    }
    // First what is gone, then what is new: a page's stream ends before the next one's begins.
    if (removed) for (const element of [...mounted.keys()]) if (!element.isConnected) end(element);
    for (const change of changes) for (const node of change.addedNodes) if (node.isConnected) look(node);
  }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-part", "data-options"] });
  look(root);
  view.state.on("connection", () => {
    if (view.state.connection !== "up") return;
    for (const [element, life] of [...mounted]) if (life.wantsConnection) again(element, view);
  });
  // A page that the browser keeps for "back" must not keep its sockets.
  addEventListener("telerig:leave", () => [...mounted.keys()].forEach((one) => one.closest("#page") && end(one)));
  addEventListener("pagehide", () => [...mounted.keys()].forEach(end));
  addEventListener("pageshow", (event) => event.persisted && look(root));
}

function again(element, view) {
  end(element);
  begin(element, view);
}

function hasElement(nodes) {
  for (const node of nodes) if (node.nodeType === Node.ELEMENT_NODE) return true;
  return false;
}

async function begin(element, view) {
  const name = element.dataset.part;
  const text = element.dataset.options || "{}";
  const known = mounted.get(element);
  if (known && known.name === name && known.text === text) return;
  end(element);
  const life = { name, text, handle: null, isOver: false };
  mounted.set(element, life);
  element.replaceChildren();
  element.setAttribute("aria-busy", "true");
  try {
    if (!NAME.test(name)) throw new Error(`expected a part's name, found ${name}`);
    await view.state.ready;
    if (!may(element, view)) return;
    const module = await import(`./parts/${name}.js`);
    if (life.isOver) return;
    const handle = await module.mount(element, JSON.parse(text), view);
    life.handle = handle ?? null;
    if (life.isOver) stop(life);
  } catch (error) {
    if (life.isOver) return;
    console.warn(`part ${name}:`, error);
    life.wantsConnection = Boolean(error?.isAway);
    element.replaceChildren(
      errorBox(error, { part: name, again: () => again(element, view), view }),
    );
  } finally {
    if (!life.isOver) element.removeAttribute("aria-busy");
  }
}

/** Whether the page that a part stands in is for who looks; nobody is asked to sign in. */
function may(element, view) {
  const role = element.closest("[data-needs-role]")?.dataset.needsRole;
  if (!role || view.state.can(role)) return true;
  if (view.state.me.kind === "nobody") {
    // Unreachable is not signed out: then parts try, and say what they got.
    if (view.state.connection !== "up") return true;
    view.toSignIn();
  } else if (!element.parentElement.querySelector(":scope > .role-note")) {
    const text = `This page is for the role ${role}, or a higher one; you are signed in with the role ${view.state.me.role}.`;
    element.before(el("p", { class: "role-note box", role: "alert" }, text));
  }
  return false;
}

function end(element) {
  const life = mounted.get(element);
  if (!life) return;
  mounted.delete(element);
  life.isOver = true;
  stop(life);
}

function stop(life) {
  try {
    life.handle?.unmount?.();
  } catch (error) {
    console.warn(`part ${life.name} did not end well:`, error);
  }
  life.handle = null;
}
