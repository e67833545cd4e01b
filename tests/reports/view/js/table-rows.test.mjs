// Which rows are shown, in which order, and what a file of them holds.
import test from "node:test";
import assert from "node:assert/strict";

import { csv, passing, rowsOf, sorted } from "../../../../reports/view/assets/js/table/rows.js";
import { axisOf, runsOf } from "../../../../reports/view/assets/js/table/chart.js";
import { nameOf } from "../../../../reports/view/assets/js/table/download.js";

const LISTING = {
  key: "id",
  columns: [
    { key: "name", label: "Name" },
    { key: "t", label: "When", kind: "instant_ns" },
    { key: "value", label: "Value", kind: "number", unit: "km/h" },
  ],
  filters: [{ name: "state", of_rows: true }, { name: "name", kind: "text", of_rows: true }],
};
const ROWS = [
  { id: 1, name: "run 10", t: 2e18, value: 5, state: "ended" },
  { id: 2, name: "run 9", t: 1e18, value: null, state: "running" },
  { id: 3, name: "Run 1", t: null, value: 77, state: "ended" },
];
const ids = (rows) => rows.map((row) => row.id);

test("sorting is by value, not by text, and what has none stands last both ways", () => {
  assert.deepEqual(ids(sorted(LISTING, ROWS, "name")), [3, 2, 1]);
  assert.deepEqual(ids(sorted(LISTING, ROWS, "value")), [1, 3, 2]);
  assert.deepEqual(ids(sorted(LISTING, ROWS, "-value")), [3, 1, 2]);
  assert.deepEqual(ids(sorted(LISTING, ROWS, "-t")), [1, 2, 3]);
  assert.deepEqual(ids(sorted(LISTING, ROWS, "")), [1, 2, 3]);
});

test("rows that come first stay on top, whatever the order", () => {
  const listing = { ...LISTING, first: { state: ["running"] } };
  for (const sort of ["", "name", "-value", "value"]) assert.equal(sorted(listing, ROWS, sort)[0].id, 2);
});

test("each word of a search has to be somewhere in a row, as shown or as it is", () => {
  assert.deepEqual(ids(passing(LISTING, ROWS, { search: "RUN 77" })), [3]);
  assert.deepEqual(ids(passing(LISTING, ROWS, { search: "2033-05" })), [1]);
  assert.deepEqual(ids(passing(LISTING, ROWS, { search: "run none" })), []);
  assert.deepEqual(ids(passing(LISTING, ROWS, { filters: { state: "ended", name: "1" } })), [1, 3]);
});

test("CSV quotes what has to be quoted, and no spreadsheet computes it", () => {
  const rows = [{ id: "=1+1", name: 'a "b", c', t: null, value: -3 }, { id: "-5", name: "@x", t: 1e18, value: 1.5 }];
  assert.equal(
    csv(LISTING, rows),
    'id,Name,When,Value (km/h)\r\n\'=1+1,"a ""b"", c",,-3\r\n-5,\'@x,2001-09-09T01:46:40.000Z,1.5\r\n',
  );
});

test("an answer without the list is an empty list", () => {
  assert.deepEqual(rowsOf({ runs: [1] }, "runs"), [1]);
  assert.deepEqual(rowsOf({ runs: null }, "runs"), []);
  assert.deepEqual(rowsOf(null, "runs"), []);
});

test("a chart breaks where a window is missing, and its axis holds the values", () => {
  const windows = [0, 10, 20, 60, 70].map((start) => ({ start_ns: start * 1e9 }));
  assert.deepEqual(runsOf(windows, 10).map((run) => run.length), [3, 2]);
  for (const [low, high] of [[3, 97], [90, 90], [-0.001, 0.002], [0, 0], [1e6, 1e6 + 1]]) {
    const [from, to, step] = axisOf(low, high);
    assert.ok(from <= low && to >= high && to > from && step > 0, `${low} ${high}`);
    assert.ok((to - from) / step <= 6, `${low} ${high}`);
  }
});

test("a file gets the name that the gateway gives it", () => {
  assert.equal(nameOf('attachment; filename="session-7.csv"'), "session-7.csv");
  assert.equal(nameOf("attachment; filename*=UTF-8''n%C3%BCrburg.gpx"), "nürburg.gpx");
  assert.equal(nameOf(null), null);
});
