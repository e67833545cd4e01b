// Forms out of schemas: the same rules as the gateway's, said before anything is sent.
import test from "node:test";
import assert from "node:assert/strict";

import { collect, counts, fieldAtFault, fieldOf, fieldsOf, operationOf, read, schemaOf, words } from "../../../../reports/view/assets/js/form/schema.js";

const DOCUMENT = {
  paths: {
    "/api/v1/users": { post: { requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/New" } } } } } },
    "/api/v1/devices/{device}/keys/{key}": { delete: {} },
    "/api/v1/trips": { get: { parameters: [{ name: "device", in: "query", required: true, schema: { type: "string" } }, { name: "id", in: "path" }] } },
  },
  components: {
    schemas: {
      Role: { enum: ["admin", "viewer"] },
      New: {
        properties: {
          name: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
          role: { $ref: "#/components/schemas/Role", default: "viewer" },
          limit: { anyOf: [{ type: "number", exclusiveMinimum: 0, maximum: 10 }, { type: "null" }], default: null },
          count: { type: "integer", minimum: 1, maximum: 2 ** 63 },
          scope: { anyOf: [{ type: "array", items: { type: "string", maxLength: 3 }, maxItems: 2 }, { type: "null" }], default: null },
          active: { type: "boolean", default: true },
        },
        required: ["name"],
      },
    },
  },
};
const schema = schemaOf(DOCUMENT, operationOf(DOCUMENT, "POST", "/api/v1/users"));
const field = (name, more = {}) => fieldOf({ name, label: name, ...more }, schema.properties[name], schema.required.includes(name), DOCUMENT);

test("an operation is found whatever its parameters are called", () => {
  assert.ok(operationOf(DOCUMENT, "DELETE", "/api/v1/devices/{device}/keys/{id}"));
  assert.equal(operationOf(DOCUMENT, "DELETE", "/api/v1/devices/{device}"), null);
  assert.deepEqual(schemaOf(DOCUMENT, null).properties, {});
  const query = schemaOf(DOCUMENT, operationOf(DOCUMENT, "GET", "/api/v1/trips"), true);
  assert.deepEqual([Object.keys(query.properties), query.required], [["device"], ["device"]]);
});

test("kind, need, limits, choices and default come from the schema", () => {
  assert.equal(field("name").needed, true);
  assert.deepEqual([field("role").kind, field("role").choices, field("role").value], ["choice", [["admin", "admin"], ["viewer", "viewer"]], "viewer"]);
  assert.deepEqual([field("limit").kind, field("limit").nullable], ["number", true]);
  assert.deepEqual(field("count").limits, { min: 1 });
  assert.equal(field("active").kind, "flag");
  assert.equal(field("role", { kind: "text" }).kind, "text");
});

test("what is wrong is said with what was expected and what came", () => {
  assert.deepEqual(read(field("name"), "  "), { problem: "is needed" });
  assert.match(read(field("name"), "-x").problem, /^expected 1 to 64 letters/);
  assert.deepEqual(read(field("name"), " esp-1 "), { value: "esp-1" });
  assert.equal(read(field("limit"), "0").problem, "expected more than 0, got 0");
  assert.equal(read(field("limit"), "11").problem, "expected at most 10, got 11");
  assert.deepEqual(read(field("limit"), "2,5"), { value: 2.5 });
  assert.deepEqual(read(field("limit"), ""), {});
  assert.equal(read(field("count"), "1.5").problem, "expected a whole number, got 1.5");
  assert.equal(read(field("count"), "x").problem, 'expected a number, got "x"');
  assert.deepEqual(read(field("scope"), "a, b"), { value: ["a", "b"] });
  assert.match(read(field("scope"), ["long!"]).problem, /at most 3 characters/);
  assert.match(read(field("scope"), "a,b,c").problem, /at most 2/);
});

test("a choice of numbers sends numbers, and null where that is chosen", () => {
  const overlap = fieldOf({ name: "s", label: "s", choices: [["60", "a minute"], ["null", "for ever"]] }, { anyOf: [{ type: "number", minimum: 0 }, { type: "null" }], default: 5 }, false);
  assert.equal(overlap.kind, "choice");
  assert.deepEqual(read(overlap, "60"), { value: 60 });
  assert.deepEqual(read(overlap, "null"), { value: null });
});

test("a body has what counts and nothing else", () => {
  const fields = [field("name"), field("limit", { when: { role: ["admin"] }, needed: true }), field("role"), field("active")];
  assert.ok(!counts(fields[1], { role: "viewer" }));
  assert.deepEqual(collect(fields, { name: "x", limit: "", role: "viewer", active: false }), { body: { name: "x", role: "viewer", active: false }, problems: {} });
  assert.deepEqual(collect(fields, { name: "", limit: "", role: "admin", active: true }).problems, { name: "is needed", limit: "is needed" });
});

test("of a change only what was changed is sent; what was emptied says so", () => {
  const fields = [field("name"), field("limit"), field("scope"), field("active")];
  const first = { name: "x", limit: 5, scope: ["a"], active: true };
  const same = { name: "x", limit: "5", scope: ["a"], active: true };
  assert.deepEqual(collect(fields, same, { changesOnly: true, first }).body, {});
  assert.deepEqual(collect(fields, { ...same, limit: "", scope: [], active: false }, { changesOnly: true, first }).body, { limit: null, scope: null, active: false });
});

test("a problem of the API finds its field", () => {
  const fields = [{ name: "name" }, { name: "stale_s" }, { name: "columns" }];
  assert.equal(fieldAtFault(fields, "stale_s").name, "stale_s");
  assert.equal(fieldAtFault(fields, "columns[1].step_ns").name, "columns");
  assert.equal(fieldAtFault(fields, "body.name").name, "name");
  assert.equal(fieldAtFault(fields, "[mail] host"), null);
  assert.equal(fieldAtFault(fields, "surname"), null);
});

test("a template of a command becomes fields with words", () => {
  const made = fieldsOf({ properties: { interval_ms: { type: "integer", minimum: 10 }, rates: { type: "object" }, mode: { enum: ["a", "b"] } }, required: ["mode"] });
  assert.deepEqual(made.map((one) => [one.name, one.label, one.kind, one.needed]), [
    ["interval_ms", "Interval (ms)", "integer", false],
    ["rates", "Rates", "object", false],
    ["mode", "Mode", "choice", true],
  ]);
  assert.equal(words("s"), "S");
  assert.deepEqual(read(made[1], '{"RPM": 5}'), { value: { RPM: 5 } });
  assert.match(read(made[1], "[1]").problem, /expected JSON/);
});
