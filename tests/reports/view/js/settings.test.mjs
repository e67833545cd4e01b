// Settings: kept in the browser, checked before, named to the security policy.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { DEFAULTS, keepAddresses, readSettings, writeSettings } from "../../../../reports/view/assets/js/settings.js";
import { check } from "../../../../reports/view/assets/js/parts/settings.js";

let kept;

beforeEach(() => {
  kept = new Map();
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    value: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) },
  });
  globalThis.document = { cookie: "" };
});

const form = (changes = {}) => ({ apiBase: "", wsBase: "", tileStyle: "", device: "", windowS: "60", points: "1200", theme: "auto", ...changes });

test("only what differs from the defaults is kept", () => {
  writeSettings({ ...DEFAULTS, device: "esp-1", foreign: 1 });
  assert.equal(kept.get("telerig.settings"), '{"device":"esp-1"}');
  assert.deepEqual(readSettings(), { ...DEFAULTS, device: "esp-1" });
});

test("something foreign in the storage is not taken", () => {
  for (const text of ["{", "null", "3", '"x"']) {
    kept.set("telerig.settings", text);
    assert.deepEqual(readSettings(), { ...DEFAULTS });
  }
});

test("a browser without storage has the defaults", () => {
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new Error("denied");
    },
  });
  assert.deepEqual(readSettings(), { ...DEFAULTS });
  assert.equal(writeSettings({ device: "x" }), false);
});

test("addresses are checked and tidied", () => {
  assert.equal(check(form({ apiBase: " https://car:8443/ " })).apiBase, "https://car:8443");
  assert.equal(check(form({ tileStyle: "https://tiles.example/{z}/{x}/{y}.png" })).tileStyle, "https://tiles.example/{z}/{x}/{y}.png");
  assert.equal(check(form({ tileStyle: "none" })).tileStyle, "none");
  for (const wrong of [{ apiBase: "car:8000" }, { apiBase: "javascript:alert(1)" }, { wsBase: "http://car" }, { tileStyle: "tiles" }, { windowS: "0" }, { windowS: "x" }, { points: "5" }]) {
    assert.throws(() => check(form(wrong)), /expected/, JSON.stringify(wrong));
  }
});

test("the security policy learns the origins, the sockets' included", () => {
  keepAddresses({ apiBase: "https://car:8443/gate", wsBase: "", tileStyle: "https://tiles.example/{z}.png" });
  const [pair] = document.cookie.split(";");
  const words = decodeURIComponent(pair.split("=")[1]).split(" ");
  assert.deepEqual(words, ["https://car:8443", "https://tiles.example", "wss://car:8443"]);
  assert.match(document.cookie, /samesite=strict/);
});

test("the defaults forget the addresses", () => {
  keepAddresses(DEFAULTS);
  assert.match(document.cookie, /^telerig_addresses=; .*max-age=0/);
});
