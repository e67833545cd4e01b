// Begins everything: configuration, API, state, parts.

import { Api } from "./api.js";
import { start } from "./mount.js";
import { go, followLinks, whenPageChanges } from "./navigate.js";
import { readSettings } from "./settings.js";
import { State } from "./state.js";

const AWAY_MS = 2000;
const said = JSON.parse(document.getElementById("view-config").textContent);
const settings = readSettings();
const config = Object.freeze({
  ...said,
  apiBase: settings.apiBase || said.apiBase,
  wsBase: settings.wsBase || said.wsBase,
  tileStyle: settings.tileStyle === "none" ? "" : settings.tileStyle || said.tileStyle,
});
const state = new State(config, settings);
const api = new Api(config, {
  csrf: () => state.me.csrf ?? "",
  signedOut: () => {
    state.signedOut();
    toSignIn();
  },
  kept: (date) => state.setKept(date),
  reached: (ok) => state.setConnection(ok ? "up" : navigator.onLine ? "away" : "offline"),
});

/** Without a session nothing of a gateway can be shown: there, and back again afterwards. */
function toSignIn() {
  const here = location.pathname + location.search;
  if (config.gateway && !/^\/(login|setup|settings)\b/.test(here)) go(`/login?next=${encodeURIComponent(here)}`);
}

let live = null;

/** What every part is given. */
export const view = Object.freeze({
  api,
  state,
  config,
  settings,
  /** Go to another page of ours without loading everything again. */
  go,
  toSignIn,
  /** The one live stream that all parts share (sources/live.js); a promise. */
  live: () => (live ??= import("./sources/live.js").then((module) => module.shared(view))),
});

window.telerig = view;
state.load(api);
// Away: asked again and again, so that the page comes back by itself.
let asking = null;
state.on("connection", () => {
  if (state.connection !== "up") {
    asking ??= setInterval(ask, AWAY_MS);
  } else if (asking !== null) {
    clearInterval(asking);
    asking = null;
    state.load(api); // before parts begin again: it may be somebody else by now
  }
});
function ask() {
  if (document.hidden) return;
  if (config.gateway) state.load(api);
  else api.get("/api/runs", { limit: 1 }).catch(() => {});
}
// A session may have ended while nobody looked.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || !state.isSignedIn) return;
  await state.load(api);
  if (state.me.kind === "nobody") toSignIn();
});
followLinks(document, config.pages);
whenPageChanges(document);
start(view);
if ("serviceWorker" in navigator) import("./pwa.js").then((module) => module.register(view)).catch(() => {});
