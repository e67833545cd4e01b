// Hub: what the stream says becomes readings, events, stale names and holes to be filled.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE, HELLO, World, greeted, rows } from "./world.mjs";

const T = 1.7e18 + 49e9;
const of = (told, type) => told.filter((message) => message.type === type);

test("readings get their names, seconds and NaN", async () => {
  const { told, socket, hub } = await greeted(new World());
  socket.say(rows([1, 12, T, 900.25, T, 0], [2, 13, T, null, T, 0]));
  const [message] = of(told, "readings");
  assert.deepEqual(message.rows, [["RPM", T / 1e9, 900.25, 0], ["SPEED", T / 1e9, NaN, 0]]);
  assert.equal(message.sent_s, T / 1e9);
  assert.equal(hub.signals.get("RPM").v, 900.25);
  assert.equal(hub.heard.get("car-1").count, 2);
});

test("of all devices one is shown, the others are counted", async () => {
  const { told, socket, hub } = await greeted(new World());
  socket.say({ ...rows([1, 12, T, 1, T, 0]), device: "esp-1" });
  assert.equal(of(told, "readings").length, 0);
  assert.equal(hub.heard.get("esp-1").count, 1);
});

test("a gateway without readings of its own shows the device that was heard last", async () => {
  const latest = (device, time_ns) => ({ latest: [{ signal: "RPM", id: 12, device, time_ns, value: 1, state: 0 }] });
  const { hub } = await greeted(new World(), { answers: {
    "/api/v1/devices": { devices: ["a", "b", "c"].map((id) => ({ id, name: "", vin: null, active: id !== "c" })) },
    "/api/v1/devices/a/latest": latest("a", 5), "/api/v1/devices/b/latest": latest("b", 9), "/api/v1/devices/c/latest": latest("c", 99),
  } });
  assert.deepEqual(hub.shown, ["b"]);
});

test("who has been signed out meanwhile is told so, not that the gateway is away", async () => {
  const world = new World();
  let role = "viewer";
  const { hub, socket } = await greeted(world, { answers: { "/api/v1/auth/me": () => ({ role }) } });
  role = "public";
  socket.end(1008, "the right to listen has ended");
  await world.pass(3000);
  assert.equal(hub.connection.state.phase, "denied");
  assert.match(hub.connection.state.reason, /sign in again/);
});

test("two devices are told apart by name, and the gateway is asked for no others", async () => {
  const { hub, socket, told } = await greeted(new World(), {
    wanted: { device: ["a", "b"] },
    answers: { "/api/v1/devices/a/latest": { latest: [] }, "/api/v1/devices/b/latest": { latest: [] } },
  });
  assert.equal(socket.query.device, "a,b");
  socket.say({ ...rows([1, 12, T, 7, T, 0]), device: "b" });
  assert.equal(of(told, "readings")[0].rows[0][0], "b:RPM");
  assert.deepEqual(hub.meant("b:RPM"), ["b", "RPM"]);
});

test("numbers that are missing are a hole, filled once and not before it can be", async () => {
  const world = new World();
  const { told, socket } = await greeted(world);
  socket.say(rows([1, 12, T, 1, T, 0]));
  socket.say(rows([2, 12, T, 1, T, 0]));
  assert.equal(of(told, "reload").length, 0);
  socket.say(rows([40, 12, T + 2e9, 1, T, 0]));
  socket.say(rows([90, 12, T + 3e9, 1, T, 0]));
  for (let i = 0; i < 20; i++) { await world.pass(100); socket.say({ type: "heartbeat", n: 1 }); }
  assert.equal(of(told, "reload").length, 1);
  assert.ok(of(told, "reload")[0].start_s <= T / 1e9);
});

test("a gap after a restart is filled from the newest reading that is here", async () => {
  const world = new World();
  const { told, socket } = await greeted(world);
  socket.say(rows([1, 12, T, 1, T, 0]));
  socket.end(1006);
  await world.pass(350);
  world.last.say({ ...HELLO, stream: "6", boot: 6, n: 1 });
  world.last.say({ type: "gap", after: 11, resumes_at: 1, start_ns: null, end_ns: T + 9e9 });
  for (let i = 0; i < 20; i++) { await world.pass(100); world.last.say({ type: "heartbeat", n: 1 }); }
  assert.equal(of(told, "reload").length, 1);
  assert.equal(of(told, "reload")[0].start_s, T / 1e9);
});

test("stale signals are the complete list of all links", async () => {
  const { told, socket } = await greeted(new World());
  socket.say({ type: "stale", n: 11, link: "obd", signals: [12, 13], time_ns: T });
  socket.say({ type: "stale", n: 12, link: "gps", signals: [1001], time_ns: T });
  socket.say({ type: "stale", n: 13, link: "obd", signals: [12], time_ns: T });
  assert.deepEqual(of(told, "stale").at(-1).names.sort(), ["LAT", "RPM"]);
});

test("a link that changes is an event, its first state is not", async () => {
  const { told, socket } = await greeted(new World());
  socket.say({ type: "link", n: 11, name: "obd", state: "up", reason: "", time_ns: T });
  socket.say({ type: "link", n: 12, name: "obd", state: "down", reason: "unplugged", time_ns: T });
  const events = of(told, "event");
  assert.equal(events.length, 1);
  assert.equal(events[0].event.text, "Link obd is down: unplugged");
  assert.equal(events[0].event.severity, "bad");
});

test("a link that is tried again and again is told once, and not to those who look at others", async () => {
  const { told, socket } = await greeted(new World());
  const say = (state) => socket.say({ type: "link", n: 11, name: "gps", state, reason: "", time_ns: T });
  for (const state of ["up", "down", "connecting", "down", "connecting", "down", "connecting", "up"]) say(state);
  assert.deepEqual(of(told, "event").map((one) => one.event.text), ["Link gps is down", "Link gps is up"]);
  const other = await greeted(new World(), { wanted: { device: ["a"] }, answers: { "/api/v1/devices/a/latest": { latest: [] } } });
  for (const state of ["up", "down"]) other.socket.say({ type: "link", n: 11, name: "gps", state, reason: "", time_ns: T });
  assert.equal(of(other.told, "event").length, 0);
  assert.equal(other.hub.links.get("gps").state, "down");
});

test("the state says up only while somebody is there", async () => {
  const world = new World();
  const { told, socket } = await greeted(world);
  assert.equal(of(told, "state").at(-1).connection, "up");
  socket.end(1006);
  assert.equal(of(told, "state").at(-1).connection, "down");
});

test("a signal that was never seen makes Info grow, once for many", async () => {
  const world = new World();
  const { told, socket, hub } = await greeted(world);
  await world.pass(600);
  const before = of(told, "info").length;
  socket.say(rows([1, 12, T, 1, T, 0], [2, 13, T, 1, T, 0]));
  await world.pass(600);
  assert.equal(of(told, "info").length, before + 1);
  assert.deepEqual([...hub.signals.keys()], ["RPM", "SPEED"]);
});

test("a signal without a name in the catalogue is shown by its number", async () => {
  const { told, socket } = await greeted(new World());
  socket.say(rows([1, 268435456, T, 1, T, 0]));
  assert.equal(of(told, "readings")[0].rows[0][0], "268435456");
});

test("a replay is told at the instants of then, and jumps", async () => {
  const replay = { type: "replay", id: 3, device: "car-1", session: 7, start_ns: 1e18, end_ns: 1.1e18, state: "playing", position_ns: 1.05e18, speed: 1 };
  const world = new World();
  const { hub, told } = await greeted(world, { wanted: { replay: 3 }, answers: { "/api/v1/replays/3": replay } });
  assert.equal(world.last.path, "/api/v1/replays/3/stream");
  assert.equal(world.last.query.resume, undefined);
  world.last.say({ ...replay, position_ns: 1.02e18, jump: true });
  assert.equal(hub.now_s(), 1.02e9);
  assert.equal(of(told, "reload").length, 1);
});

test("a gateway that is away at the beginning is found when it comes", async () => {
  const world = new World();
  let isAway = true;
  const away = Object.assign(new Error("no answer"), { status: 0 });
  const { Hub } = await import("../../../../reports/view/assets/js/live/hub.js");
  const { apiOf } = await import("./world.mjs");
  const api = apiOf(world, { "/api/v1/signals": () => (isAway ? away : { signals: CATALOGUE }) });
  const hub = new Hub({ api }, { device: [], vehicle: [], session: null, replay: null }, world.env);
  hub.start();
  await world.pass(1);
  assert.equal(hub.connection.state.phase, "waiting");
  assert.equal(hub.connection.state.reason, "the gateway does not answer");
  isAway = false;
  await world.pass(1000);
  world.last.say(HELLO);
  assert.equal(hub.connection.state.phase, "up");
  assert.equal(await hub.ready, hub);
});
