// /settings: what this browser uses. Kept here (localStorage); nothing of it goes to the server but
// the origins of other addresses, in a cookie: the pages' security policy must name them.

import { choice, field, form } from "../fields.js";
import { DEFAULTS, keepAddresses, readSettings, writeSettings } from "../settings.js";
import { el } from "../words.js";

export function mount(element, options, view) {
  const settings = readSettings();
  const said = el("p", { role: "status", class: "hint" });
  const made = form(
    "Settings",
    [
      el(
        "fieldset",
        {},
        el("legend", {}, "Addresses"),
        field("API", { name: "apiBase", type: "url", value: settings.apiBase, placeholder: location.origin }, `Of another gateway; empty: the one of these pages. It must allow this page: [http] origins = ["${location.origin}"].`),
        field("WebSocket", { name: "wsBase", type: "url", value: settings.wsBase, placeholder: location.origin.replace(/^http/, "ws") }, "ws:// or wss://; empty: made of the API's address."),
        field("Map tiles", { name: "tileStyle", value: settings.tileStyle, placeholder: view.config.tileStyle || "none: the map is drawn in metres" }, "Address of a map style or of tiles, https://…; they see where you look. Empty: none are fetched."),
      ),
      el(
        "fieldset",
        {},
        el("legend", {}, "Defaults"),
        field("Device", { name: "device", value: settings.device, maxlength: 64, autocapitalize: "none", spellcheck: "false" }, "Shown first on the live page; empty: the gateway's own."),
        field("Live window, seconds", { name: "windowS", type: "number", min: 5, max: 3600, step: 1, value: settings.windowS, required: true }),
        field("Points of a replay, at most", { name: "points", type: "number", min: 100, max: 10000, step: 100, value: settings.points, required: true }, "For each strip; the server picks the lowest and highest of what lies between."),
      ),
      el(
        "fieldset",
        {},
        el("legend", {}, "Look"),
        choice("Theme", "theme", [["auto", "as the system has it"], ["light", "light"], ["dark", "dark"]], settings.theme),
      ),
      said,
    ],
    "Save",
    (values) => {
      const next = check(values);
      writeSettings(next);
      keepAddresses(next);
      said.textContent = "Saved.";
      // Addresses are part of the pages' security policy, which comes with a page.
      location.reload();
    },
  );
  const reset = el("button", { type: "button", onclick: () => (writeSettings(DEFAULTS), keepAddresses(DEFAULTS), location.reload()) }, "Back to the defaults");
  made.classList.add("form-wide");
  made.querySelector(".actions").append(reset);
  element.append(el("div", { class: "box" }, made));
  const docs = view.config.gateway && [" · ", el("a", { href: view.api.url("/docs") }, "documentation of the API")];
  const about = el("p", { class: "hint" }, `telerig ${view.config.version}`, docs);
  element.append(about);
}

/** Give the settings that the values mean; throws words about the first that is none. */
export function check(values) {
  const next = { ...DEFAULTS, ...values, windowS: Number(values.windowS), points: Number(values.points) };
  for (const [key, kinds, what] of [
    ["apiBase", ["http:", "https:"], "API: expected an address like https://gateway.example:8000"],
    ["wsBase", ["ws:", "wss:"], "WebSocket: expected an address like wss://gateway.example:8000"],
  ]) {
    next[key] = next[key].trim().replace(/\/+$/, "");
    if (next[key] && !isAddress(next[key], kinds)) throw new Error(`${what}, found ${next[key]}`);
  }
  next.tileStyle = next.tileStyle.trim();
  if (next.tileStyle && next.tileStyle !== "none" && !next.tileStyle.startsWith("/") && !isAddress(next.tileStyle, ["http:", "https:"])) {
    throw new Error(`Map tiles: expected an address like https://tiles.example/style.json, found ${next.tileStyle}`);
  }
  if (!(next.windowS >= 5 && next.windowS <= 3600)) throw new Error(`Live window: expected 5 to 3600 s, found ${values.windowS}`);
  if (!(next.points >= 100 && next.points <= 10000)) throw new Error(`Points: expected 100 to 10000, found ${values.points}`);
  return next;
}

function isAddress(text, kinds) {
  try {
    const url = new URL(text.replace(/[{}]/g, "")); // {z}/{x}/{y} of tiles
    return kinds.includes(url.protocol) && Boolean(url.hostname);
  } catch {
    return false;
  }
}
