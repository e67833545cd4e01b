// Connection: comes back by itself, with resume; knows within a second that nobody is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection } from "../../../../reports/view/assets/js/live/connection.js";
import { HELLO, World } from "./world.mjs";

function made(dial = async () => ({ path: "/api/v1/live", query: { form: "rows" } })) {
  const world = new World(), heard = [], states = [], jumps = [];
  const connection = new Connection({
    dial, open: async (path, query) => world.socket(path, query), env: world.env,
    hear: (message) => heard.push(message), changed: (state) => states.push(state), jumped: (s) => jumps.push(s),
  }).start();
  return { world, heard, states, jumps, connection };
}

test("it is up once it was greeted", async () => {
  const { world, connection } = made();
  await world.pass(1);
  assert.equal(connection.state.phase, "connecting");
  world.last.say(HELLO);
  assert.equal(connection.state.phase, "up");
  assert.deepEqual(world.last.sent, [{ type: "ping" }]);
});

test("a gateway that falls silent is known within a second, without a word of the network", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  await world.pass(1000);
  assert.equal(connection.state.phase, "silent");
});

test("a quiet gateway that answers stays up, and is asked seldom", async () => {
  const { world, connection } = made();
  await world.pass(1);
  const socket = world.last;
  socket.say(HELLO);
  const answered = { count: 0 };
  for (let i = 0; i < 100; i++) {
    await world.pass(100);
    while (answered.count < socket.sent.length) {
      answered.count++;
      socket.say({ type: "pong", n: 10, time_ns: HELLO.server_now_ns + world.ms * 1e6 });
    }
  }
  assert.equal(connection.state.phase, "up");
  assert.ok(socket.sent.length <= 30, `${socket.sent.length} questions in 10 s`);
});

test("while readings come nothing is asked but the time: a few times at once, then seldom", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  let answered = 0;
  const go = async (rounds) => {
    for (let i = 0; i < rounds; i++) {
      while (answered < world.last.sent.length) {
        // The first answers are late: the page, and the gateway, are busy with its beginning.
        await world.pass(answered++ < 3 ? 400 : 10);
        world.last.say({ type: "pong", n: 10, time_ns: HELLO.server_now_ns + (world.ms - 5) * 1e6 });
      }
      await world.pass(50);
      world.last.say({ type: "readings", n: i, readings: [] });
    }
  };
  await go(80);
  assert.equal(world.last.sent.length, 8);
  assert.ok(connection.clock.rtt_s < 0.1, "the short way counts");
  await go(80);
  assert.equal(world.last.sent.length, 8);
});

test("who does not answer the time is not asked again and again", async () => {
  const { world } = made();
  await world.pass(1);
  world.last.say(HELLO);
  world.last.say({ type: "pong", n: 10, time_ns: HELLO.server_now_ns });
  for (let i = 0; i < 180; i++) { await world.pass(50); world.last.say({ type: "readings", n: i, readings: [] }); }
  assert.equal(world.last.sent.length, 2);
});

test("a lost connection is made again with the place where it was", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  world.last.say({ type: "readings", n: 77, readings: [] });
  world.last.end(1006);
  assert.equal(connection.state.phase, "waiting");
  assert.equal(connection.state.reason, "the connection was lost");
  await world.pass(350);
  assert.equal(world.sockets.length, 2);
  assert.equal(world.last.query.resume, "5-77");
});

test("the waits become longer, and begin anew after a greeting", async () => {
  const { world, connection } = made();
  const waits = [];
  await world.pass(1);
  for (let i = 0; i < 8; i++) {
    world.last.end(1006);
    waits.push(connection.state.retry_ms - world.ms);
    await world.pass(waits[i] + 1);
  }
  assert.deepEqual(waits.map(Math.round), [300, 700, 1500, 3000, 6000, 10000, 10000, 10000]);
  world.last.say(HELLO);
  world.last.end(1006);
  assert.equal(Math.round(connection.state.retry_ms - world.ms), 300);
});

test("a gateway that was started anew begins its own count", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say({ ...HELLO, n: 500 });
  world.last.end(1006);
  await world.pass(350);
  world.last.say({ ...HELLO, stream: "6", n: 3 });
  assert.equal(connection.isRestarted, true);
  assert.equal(`${connection.stream}-${connection.n}`, "6-3");
});

test("a stream that has come to its end is not asked for again", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  world.last.end(1000, "the session has ended");
  await world.pass(60000);
  assert.equal(connection.state.phase, "ended");
  assert.equal(world.sockets.length, 1);
});

test("what may not be seen is said with its reason, and asked for seldom", async () => {
  let asked = 0;
  const denied = Object.assign(new Error(), { status: 404, detail: "device: expected the id of a registered device, found 'x'" });
  const { world, connection } = made(async () => { asked++; throw denied; });
  await world.pass(30000);
  assert.equal(connection.state.phase, "denied");
  assert.match(connection.state.reason, /registered device/);
  assert.ok(asked <= 4, `${asked}`);
});

test("retryNow does not wait, and does nothing while it is up", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  connection.retryNow();
  assert.equal(world.sockets.length, 1);
  world.last.end(1006);
  for (let i = 0; i < 6; i++) { await world.pass(20000); world.last.end(1006); }
  const before = world.sockets.length;
  connection.retryNow();
  await world.pass(1);
  assert.equal(world.sockets.length, before + 1);
});

test("what is no JSON, and what comes after the end, does nothing", async () => {
  const { world, connection, heard } = made();
  await world.pass(1);
  const socket = world.last;
  socket.say(HELLO);
  socket.say("{");
  connection.close();
  socket.say({ type: "readings", n: 99, readings: [] });
  await world.pass(60000);
  assert.equal(heard.length, 1);
  assert.equal(world.sockets.length, 1);
  assert.ok(socket.isClosed);
});

test("a page that nobody sees is not grey, and asks seldom", async () => {
  const { world, connection } = made();
  world.isHidden = true;
  await world.pass(1);
  world.last.say(HELLO);
  world.last.say({ type: "pong", n: 10, time_ns: HELLO.server_now_ns });
  await world.pass(9000);
  assert.equal(connection.state.phase, "up");
  assert.ok(world.last.sent.length <= 2);
});

test("a page that was busy hears what came before it judges", async () => {
  const { world, connection } = made();
  await world.pass(1);
  world.last.say(HELLO);
  world.ms += 3000; // nothing of this page ran
  await world.pass(1);
  assert.equal(connection.state.phase, "up");
});

test("a jump of the gateway's clock is told once", async () => {
  const { world, jumps } = made();
  await world.pass(1);
  world.last.say(HELLO);
  const pong = (shift) => world.last.say({ type: "pong", n: 10, time_ns: HELLO.server_now_ns + shift });
  pong(0);
  await world.pass(600);
  pong(600e6 + 60e9);
  await world.pass(600);
  pong(1200e6 + 60e9);
  assert.equal(jumps.length, 1);
  assert.ok(Math.abs(jumps[0] - 60) < 0.5);
});
