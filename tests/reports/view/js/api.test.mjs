// Calls of the API: what is sent, what comes back, and how errors become words.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Api, ApiError, queryText, wsOf } from "../../../../reports/view/assets/js/api.js";

const PAGE = "http://127.0.0.1:8050";
let asked, answers, storage;

beforeEach(() => {
  asked = [];
  answers = [];
  storage = new Map();
  globalThis.location = { origin: PAGE };
  Object.defineProperty(globalThis, "sessionStorage", {
    configurable: true,
    value: { getItem: (key) => storage.get(key) ?? null, setItem: (key, value) => storage.set(key, value), removeItem: (key) => storage.delete(key) },
  });
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next ?? Response.json({});
  };
});
afterEach(() => {
  delete globalThis.location;
  delete globalThis.sessionStorage;
});

const own = (hooks = {}) => new Api({ apiBase: "", wsBase: "" }, hooks);
const problem = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });

test("a query leaves out what is empty and repeats what is a list", () => {
  assert.equal(queryText({ a: 1, b: "", c: null, d: undefined, e: ["x", "y z"], f: 0 }), "?a=1&e=x&e=y+z&f=0");
  assert.equal(queryText({}), "");
  assert.equal(queryText(undefined), "");
});

test("reading sends no CSRF token, changing does", async () => {
  const api = own({ csrf: () => "secret" });
  await api.get("/api/v1/links", { limit: 2 });
  await api.post("/api/v1/x", { a: 1 });
  assert.equal(asked[0].url, "/api/v1/links?limit=2");
  assert.equal(asked[0].headers["x-csrf-token"], undefined);
  assert.equal(asked[1].headers["x-csrf-token"], "secret");
  assert.equal(asked[1].body, '{"a":1}');
  assert.equal(asked[1].headers["content-type"], "application/json");
});

test("no content is null, and other content is text", async () => {
  answers = [new Response(null, { status: 204 }), new Response("a,b", { headers: { "content-type": "text/csv" } })];
  assert.equal(await own().delete("/x"), null);
  assert.equal(await own().get("/x.csv"), "a,b");
});

test("a problem becomes an error with its words", async () => {
  answers = [problem(400, { title: "Bad Request", detail: "limit: expected a number", where: "limit" })];
  const error = await own().get("/x").catch((found) => found);
  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.status, error.detail, error.where], [400, "limit: expected a number", "limit"]);
});

test("an answer that is no problem is told with its status", async () => {
  answers = [new Response("<html>", { status: 500, statusText: "Oops" })];
  const error = await own().get("/x").catch((found) => found);
  assert.match(error.detail, /GET \/x.*500/);
});

test("how long to wait is taken from the answer", async () => {
  answers = [problem(429, {}, { "retry-after": "7" })];
  assert.equal((await own().get("/x").catch((found) => found)).retryAfterS, 7);
});

test("no connection is an error in words, and is reported", async () => {
  const reached = [];
  answers = [new TypeError("Failed to fetch"), Response.json({}), problem(502, {})];
  const api = own({ reached: (ok) => reached.push(ok) });
  const error = await api.get("/x").catch((found) => found);
  assert.ok(error.isAway);
  assert.match(error.detail, /expected an answer, got none/);
  await api.get("/x");
  await api.get("/x").catch(() => {});
  assert.deepEqual(reached, [false, true, false]);
});

test("an answer that was kept is no connection", async () => {
  const said = [];
  answers = [Response.json({}, { headers: { "x-telerig-kept": "2026-01-02T03:04:05.000Z" } })];
  await own({ reached: () => said.push("reached"), kept: (date) => said.push(date.toISOString()) }).get("/x");
  assert.deepEqual(said, ["2026-01-02T03:04:05.000Z"]);
});

test("who is not signed in any more is told, but for quiet questions", async () => {
  let told = 0;
  const api = own({ signedOut: () => (told += 1) });
  answers = [problem(401, {}), problem(401, {})];
  await api.get("/x").catch(() => {});
  await api.get("/me", {}, { quiet: true }).catch(() => {});
  assert.equal(told, 1);
});

test("addresses of sockets are made of the API's", () => {
  assert.equal(wsOf("https://car:8443"), "wss://car:8443");
  assert.equal(own().wsBase, "ws://127.0.0.1:8050");
  assert.equal(new Api({ apiBase: "https://car/gate/", wsBase: "" }).wsBase, "wss://car/gate");
  assert.equal(new Api({ apiBase: "", wsBase: "ws://x/" }).wsBase, "ws://x");
});

test("an API of another origin gets a token and no cookie", async () => {
  const api = new Api({ apiBase: "http://car:8000", wsBase: "" });
  assert.ok(api.isForeign);
  assert.ok(!new Api({ apiBase: PAGE, wsBase: "" }).isForeign);
  answers = [Response.json({ access_token: "A", refresh_token: "R", expires_in: 900 })];
  await api.signIn("anna", "pass");
  await api.post("/x", {});
  assert.equal(asked[0].url, "http://car:8000/api/v1/auth/token");
  assert.equal(String(asked[0].body), "grant_type=password&username=anna&password=pass");
  assert.equal(asked[1].headers.authorization, "Bearer A");
  assert.equal(asked[1].credentials, "omit");
  assert.equal(storage.get("telerig.refresh"), "R");
});

test("a token that has ended is renewed once for all who wait", async () => {
  storage.set("telerig.refresh", "R1");
  const api = new Api({ apiBase: "http://car:8000", wsBase: "" });
  answers = [Response.json({ access_token: "B", refresh_token: "R2", expires_in: 900 })];
  await Promise.all([api.get("/x"), api.get("/y")]);
  assert.equal(asked.filter((one) => one.url.endsWith("/token")).length, 1);
  assert.deepEqual(asked.slice(1).map((one) => one.headers.authorization), ["Bearer B", "Bearer B"]);
  assert.equal(storage.get("telerig.refresh"), "R2");
});

test("a refused renewal signs out, a broken connection does not", async () => {
  storage.set("telerig.refresh", "R1");
  const api = new Api({ apiBase: "http://car:8000", wsBase: "" });
  answers = [new TypeError("Failed to fetch")];
  await api.get("/x");
  assert.equal(storage.get("telerig.refresh"), "R1");
  answers = [problem(400, { error_description: "used" })];
  await api.get("/x");
  assert.equal(storage.get("telerig.refresh"), undefined);
});
