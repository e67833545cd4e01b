// Words of a run's panels: bytes, offsets, asking for the newest wish alone; steps and limits of one that runs.
import test from "node:test";
import assert from "node:assert/strict";

import { isText, shownHex, shownText } from "../../../../reports/view/assets/js/run/bytes.js";
import { Latest } from "../../../../reports/view/assets/js/run/latest.js";
import { standing, stepsAt, summary } from "../../../../reports/view/assets/js/station/steps.js";

test("bytes as text and as pairs of digits", () => {
  assert.equal(shownText("$GP,1*5D\r\n\0\x01é"), "$GP,1*5D\\r\\n\\0·é");
  assert.equal(shownHex("A\xff\x00"), "41 FF 00");
  assert.equal(shownHex("abc", 2), "61 62 …");
  assert.ok(isText("41 0C 1A F8\r\r>"));
  assert.ok(!isText("\x02\x10\xff\xc8\x00"));
});

test("while one question is under way only the newest wish waits", async () => {
  const asked = [], shown = [];
  let answer;
  const latest = new Latest((wish) => { asked.push(wish); return new Promise((done) => { answer = done; }); }, (found, error, wish) => shown.push([found, wish]), 1);
  const rest = () => new Promise((done) => setTimeout(done, 15));
  latest.want("1", 1);
  latest.want("1", 1);
  await rest();
  for (const wish of [2, 3, 4]) latest.want(String(wish), wish);
  await rest();
  assert.deepEqual(asked, [1]);
  answer("one");
  await rest();
  assert.deepEqual(asked, [1, 4]);
  answer("four");
  await rest();
  assert.deepEqual(shown, [["one", 1], ["four", 4]]);
  latest.want("5", 5);
  latest.close();
  await rest();
  assert.deepEqual(asked, [1, 4]);
});

test("a question that fails is told, and the next is asked", async () => {
  const shown = [];
  const latest = new Latest(async (wish) => { if (wish === 1) throw new Error("away"); return wish; }, (found, error) => shown.push(error?.message ?? found), 1);
  const rest = () => new Promise((done) => setTimeout(done, 15));
  latest.want("1", 1);
  await rest();
  latest.want("2", 2);
  await rest();
  assert.deepEqual(shown, ["away", 2]);
});

test("steps are done, now, or next", () => {
  const phases = [{ name: "idle", start_s: 100, end_s: 110 }, { name: "town", start_s: 110, end_s: 150 }, { name: "stop", start_s: 150, end_s: 150 }];
  assert.deepEqual(stepsAt(phases, 120).map(({ state, share }) => [state, share]), [["done", 1], ["now", 0.25], ["next", 0]]);
  assert.deepEqual(stepsAt(phases, NaN).map(({ state }) => state), ["next", "next", "next"]);
  assert.deepEqual(stepsAt(phases, 150).map(({ state }) => state), ["done", "done", "done"]);
});

test("a limit under way says how it stands; one that cannot be told yet says that", () => {
  const limit = { name: "obd.latency.p95", unit: "ms", max: 60, start_s: 100, outcome: "running", value: 80, margin_pct: -33 };
  assert.equal(standing(limit, 120).word, "beyond so far");
  assert.equal(standing(limit, 120).value, "80 ms");
  assert.equal(standing({ ...limit, value: 8, margin_pct: 86 }, 120).word, "kept so far");
  assert.equal(standing({ ...limit, value: null }, 120).word, "no value yet");
  assert.deepEqual([standing(limit, 90).word, standing(limit, 90).value], ["not begun", ""]);
  assert.equal(standing({ ...limit, name: "readings.lost" }, 120).word, "at the end");
  assert.equal(standing({ ...limit, name: "gateway.exit", after: true }, 120).word, "at the end");
  assert.equal(standing({ ...limit, outcome: "fail" }, 120).tone, "bad");
  assert.equal(summary([limit, { ...limit, outcome: "fail" }, { ...limit, outcome: "pass" }, { ...limit, outcome: "pass" }], 120), "1 fail, 1 beyond so far, 2 pass");
});
