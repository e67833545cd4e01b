// Fields of a form out of a JSON schema: kinds, limits, defaults; checks; the body. No DOM here.

// The operation of an OpenAPI document for a method and a path, whatever its parameters are called.
export function operationOf(document, method, path) {
  const wanted = shape(path);
  for (const [known, methods] of Object.entries(document.paths ?? {})) {
    if (shape(known) === wanted && methods[method.toLowerCase()]) return methods[method.toLowerCase()];
  }
  return null;
}

const shape = (path) => path.replace(/\{[^}]*\}/g, "{}");

// The schema of the operation's body (or, of `query`, of its parameters) as an object's.
export function schemaOf(document, operation, isQuery = false) {
  if (operation === null) return { properties: {}, required: [] };
  if (isQuery) {
    const own = (operation.parameters ?? []).filter((one) => one.in === "query");
    return {
      properties: Object.fromEntries(own.map((one) => [one.name, one.schema ?? {}])),
      required: own.filter((one) => one.required).map((one) => one.name),
    };
  }
  const content = operation.requestBody?.content?.["application/json"];
  return resolve(document, content?.schema ?? {});
}

export function resolve(document, schema) {
  let found = schema;
  for (let depth = 0; found.$ref && depth < 8; depth += 1) {
    const target = found.$ref.split("/").slice(1)
      .reduce((place, key) => place?.[key], document) ?? {};
    const { $ref, ...beside } = found;
    found = { ...target, ...beside };
  }
  return found;
}

// The field that a declaration and a schema make together:
// {name, label, hint, kind, choices, needed, nullable, value, min, max, …}
export function fieldOf(declared, schema, required, document = {}) {
  const whole = resolve(document, schema ?? {});
  const parts = (whole.anyOf ?? [whole]).map((part) => resolve(document, part));
  const some = parts.filter((part) => part.type !== "null");
  const main = some[0] ?? {};
  const isNullable = parts.length > some.length;
  const made = {
    when: {},
    wide: false,
    choices: choicesOf(main, declared, document),
    ...defined(declared),
    kind: declared.kind || kindOf(main, declared),
    isNumber: ["number", "integer"].includes(main.type),
    needed: Boolean(declared.needed) || required,
    nullable: isNullable,
    limits: limitsOf(main),
    items: main.items ? resolve(document, main.items) : null,
    fallback: whole.default ?? main.default,
  };
  if (made.value === undefined) made.value = whole.default ?? main.default;
  // The words of a type that many fields share are not about this field.
  if (made.hint === undefined) made.hint = schema?.$ref ? "" : main.description ?? whole.description ?? "";
  return made;
}

function defined(declared) {
  return Object.fromEntries(Object.entries(declared).filter(([, value]) => value !== undefined));
}

function choicesOf(schema, declared, document) {
  if (declared.choices?.length) return declared.choices;
  const values = schema.enum ?? (schema.const !== undefined ? [schema.const] : null) ??
    (schema.items ? resolve(document, schema.items).enum : null);
  return values ? values.map((value) => [value, String(value)]) : [];
}

function kindOf(schema, declared) {
  if (schema.enum || schema.const !== undefined || (declared.choices?.length && schema.type !== "array")) {
    return "choice";
  }
  switch (schema.type) {
    case "boolean": return "flag";
    case "integer": return "integer";
    case "number": return "number";
    case "array": return "list";
    case "object": return "object";
    default: return schema.maxLength > 500 ? "lines" : "text";
  }
}

function limitsOf(schema) {
  const found = {};
  const isSmall = (value) => value !== undefined && Math.abs(value) < 2 ** 53;
  if (isSmall(schema.minimum)) found.min = schema.minimum;
  if (isSmall(schema.maximum)) found.max = schema.maximum;
  if (isSmall(schema.exclusiveMinimum)) found.above = schema.exclusiveMinimum;
  if (isSmall(schema.exclusiveMaximum)) found.below = schema.exclusiveMaximum;
  for (const key of ["minLength", "maxLength", "pattern", "minItems", "maxItems"]) {
    if (schema[key] !== undefined) found[key] = schema[key];
  }
  return found;
}

// Fields of an object's schema that nobody has declared, for commands: one for each property.
export function fieldsOf(schema, document = {}) {
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).map(([name, part]) =>
    fieldOf({ name, label: part.title ?? words(name) }, part, required.includes(name), document));
}

// "interval_ms" -> "Interval (ms)"
const UNITS = { ms: "ms", s: "s", hz: "Hz", kmh: "km/h", m: "m", pct: "%", v: "V", deg: "°" };

export function words(name) {
  const parts = name.split("_");
  const unit = parts.length > 1 ? UNITS[parts.at(-1)] : undefined;
  const text = (unit ? parts.slice(0, -1) : parts).join(" ");
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return unit ? `${said} (${unit})` : said;
}

// Whether a field counts, as the others stand.
export function counts(field, texts) {
  return Object.entries(field.when ?? {}).every(([name, wanted]) =>
    wanted.includes(String(texts[name] ?? "")));
}

// What a text of a field is worth: {value} or {problem}; {} where it is left out.
export function read(field, text) {
  if (field.kind === "flag") return { value: Boolean(text) };
  if (field.kind === "list") return readList(field, text);
  const said = typeof text === "string" && field.kind !== "password" && field.kind !== "lines"
    ? text.trim() : text ?? "";
  if (said === "") {
    if (field.needed) return { problem: "is needed" };
    return {};
  }
  if (said === "null" && field.kind === "choice" && field.nullable) return { value: null };
  if (field.kind === "integer" || field.kind === "number" || (field.kind === "choice" && field.isNumber)) {
    return readNumber(field, said);
  }
  if (field.kind === "object") return readObject(said);
  const wrong = textProblem(field.limits ?? {}, said);
  return wrong ? { problem: wrong } : { value: said };
}

function readNumber(field, said) {
  const value = Number(String(said).replace(",", ".").replace("−", "-"));
  const { min, max, above, below } = field.limits ?? {};
  if (!Number.isFinite(value)) return {problem: `expected a number, got "${said}"`};
  if (field.kind === "integer" && !Number.isInteger(value)) {
    return {problem: `expected a whole number, got ${said}`};
  }
  if (min !== undefined && value < min) return {problem: `expected at least ${min}, got ${said}`};
  if (max !== undefined && value > max) return {problem: `expected at most ${max}, got ${said}`};
  if (above !== undefined && value <= above) return {problem: `expected more than ${above}, got ${said}`};
  if (below !== undefined && value >= below) return {problem: `expected less than ${below}, got ${said}`};
  return { value };
}

function readObject(said) {
  try {
    const value = JSON.parse(said);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return { value };
  } catch { /* said below */ }
  return { problem: 'expected JSON as { "name": 1 }' };
}

function readList(field, text) {
  const said = (Array.isArray(text) ? text : String(text ?? "").split(/[,;\n]/))
    .map((one) => String(one).trim()).filter(Boolean);
  const { maxItems } = field.limits ?? {};
  if (said.length === 0) {
    if (field.needed) return { problem: "is needed" };
    return field.emptyList ? { value: [] } : {};
  }
  if (maxItems !== undefined && said.length > maxItems) {
    return {problem: `expected at most ${maxItems}, got ${said.length}`};
  }
  for (const one of said) {
    const wrong = textProblem(field.items ?? {}, one);
    if (wrong) return {problem: `"${one}": ${wrong}`};
  }
  return { value: said };
}

function textProblem(limits, said) {
  const { minLength, maxLength, pattern } = limits;
  const size = [...said].length;
  if (minLength !== undefined && size < minLength) return `expected at least ${minLength} characters, got ${size}`;
  if (maxLength !== undefined && size > maxLength) return `expected at most ${maxLength} characters, got ${size}`;
  if (pattern !== undefined && !matches(pattern, said)) return patternWords(pattern);
  return "";
}

function matches(pattern, said) {
  try {
    return new RegExp(pattern, "u").test(said);
  } catch {
    return true;  // a pattern of another dialect: the gateway checks
  }
}

// Patterns that people meet, in words; what is not known here is told by the gateway.
const PATTERNS = [
  [/^\^\[A-HJ-NPR-Z0-9\]\{17\}\$$/, "expected 17 capital letters (no I, O, Q) and digits"],
  [/^\^\[A-Za-z0-9\]\[A-Za-z0-9\._@-\]\{0,63\}\$$/,
    "expected 1 to 64 letters, digits, '.', '_', '@' or '-', the first a letter or digit"],
  [/^\^\[A-Za-z0-9\]\[A-Za-z0-9\._-\]\{0,63\}\$$/,
    "expected 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit"],
  [/^\^https\?:\/\/$/, "expected an address that begins with http:// or https://"],
  [/@\[A-Za-z0-9-\]/, "expected a mail address"],
];

function patternWords(pattern) {
  for (const [known, said] of PATTERNS) if (known.test(pattern)) return said;
  return `expected ${pattern}`;
}

// The body of all fields: {body, problems: {name: text}}.
// `first` holds the values that the form began with; with `changesOnly` what is as it was is left out.
export function collect(fields, texts, { changesOnly = false, first = {} } = {}) {
  const body = {}, problems = {};
  for (const field of fields) {
    if (!counts(field, texts)) continue;
    const { value, problem } = read(field, texts[field.name]);
    if (problem !== undefined) problems[field.name] = problem;
    else if (changesOnly) change(body, field, value, first[field.name]);
    else if (value !== undefined) body[field.name] = value;
  }
  return { body, problems };
}

// What is emptied says so: null where the schema allows it, else the empty text.
function change(body, field, value, before) {
  if (value === undefined) {
    if (before === undefined || before === null || before === "") return;
    body[field.name] = field.kind === "text" || field.kind === "lines" ? "" : null;
  } else if (JSON.stringify(value) !== JSON.stringify(before)) {
    body[field.name] = value;
  }
}

// The text that stands in a field for a value.
export function textOf(field, value) {
  if (field.kind === "flag") return Boolean(value);
  if (value === undefined || value === null) return "";
  if (field.kind === "list") return Array.isArray(value) ? value : String(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// The field that a problem of the API is about: its `where` is "name", "columns[1].step_ns",
// "body.name" or a part of the gateway; null where none is.
export function fieldAtFault(fields, where) {
  const said = String(where ?? "");
  return fields.find((field) => field.name === said) ??
    fields.find((field) => new RegExp(`(^|\\.)${escaped(field.name)}(\\[|\\.|$)`).test(said)) ?? null;
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
