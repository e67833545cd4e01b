"""The document of the API as a page for people: `python -m server.api.reference > docs/api.md`."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from server.api.openapi import SCHEMAS, TAGS, WORDS, document

_HEAD = """\
# The API

This page is made from the document that a gateway serves at `/openapi.json` (OpenAPI 3.1), by
`python -m server.api.reference > docs/api.md`; a test compares them. A gateway shows the same, to
be tried out, at `/docs`: the page comes with the extra `docs` (`pip install "telerig[docs]"`),
loads nothing from other hosts and says so where it is not installed.

## Before you begin

**Who may.** Each operation names its role. `viewer`, `operator` and `admin` include each other in
this order, `device` is a device with its key, `public` is everybody; `compat` marks paths of older
systems, which have rules of their own ([devices.md](devices.md#interfaces-of-older-systems)). One
shows who one is by a token, a browser's session, or a key in `X-API-Key`: [users.md](users.md).
What one may not see is answered like what does not exist: 404.

**What is wrong.** Whatever is refused is answered with a problem (RFC 9457,
`application/problem+json`):

```json
{"type": "about:blank", "title": "Bad Request", "status": 400,
 "detail": "limit: expected a whole number >= 1, found '0'", "instance": "/api/v1/readings",
 "expected": "a whole number >= 1", "found": "'0'", "where": "limit"}
```

`where` is the parameter, the field (`columns[1].step_ns`), the header or the part that is at
fault. The `detail` of a 401 is always `Invalid API key`. Unknown parameters and unknown fields are
refused, so that a typing error is not an answer to another question.

Below, these are left out where they mean what they mean everywhere: 400 (the query or body is
wrong), 401 (no key or token, or a wrong one), 403 (the role is not enough, or a page of another
origin asks), 404 (there is none, or it is not yours to see), 408 and 413 (the body was not whole
in 10 s, or is too large), 415, 426 (not a WebSocket handshake), 429 with `Retry-After`, 500 (a
fault of the gateway: its log tells more), 503 with `Retry-After` (the database is away).

**Time** is UTC: ISO 8601 (`start=2026-01-31T12:00:00Z`) or nanoseconds since 1970 (`start_ns=…`);
the nanoseconds win where both are given. A range includes its start and excludes its end.

**Lists** take `limit` (default 1000) and `offset` (default 0). Readings go by `after`, which is
the `next` of the page before: what is added meanwhile moves nothing. A parameter that is a list
comes several times (`signal=RPM&signal=SPEED`) or once with commas (`signal=RPM,SPEED`).

**Bodies** are JSON unless something else is said, whatever `Content-Type` claims.

"""
_USUAL = frozenset(WORDS.values())


def write() -> str:
    """Give the page."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(whole_document()))
    return _Page(made).text()


def whole_document() -> dict[str, Any]:
    """Give the document of a gateway that serves everything, older systems included."""
    from server.app import declared
    from server.clock import SystemClock
    from server.config import parse_config
    from server.gateway import Gateway
    from server.store.hotlog import HotLog

    config = parse_config("[compat]\ns0 = true\ns2 = true\ns4 = true\n", "reference", {})
    config = config.with_database_url("postgresql://nowhere.invalid/none")
    clock = SystemClock()
    hotlog = HotLog("", device=config.device, boot=0, clock=clock)
    # Nothing is asked of it but what it would serve.
    gateway = Gateway(config, 0, clock, hotlog, cast(Any, None))
    return document(declared(gateway), "")


class _Page:
    def __init__(self, made: dict[str, Any]) -> None:
        self._made = made
        self._schemas: dict[str, Any] = made["components"]["schemas"]

    def text(self) -> str:
        by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in self._made["paths"].items():
            for method, operation in methods.items():
                by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))
        parts = [_HEAD]
        for tag in self._made["tags"]:
            name = tag["name"]
            parts.append(f"## {name.capitalize()}\n\n{TAGS.get(name, '')}".rstrip() + "\n\n")
            parts += [self._operation(*one) for one in by_tag[name]]
        parts.append("## Types\n\n")
        parts += [self._type(name, schema) for name, schema in self._schemas.items()]
        return "".join(parts).rstrip() + "\n"

    def _operation(self, method: str, path: str, operation: dict[str, Any]) -> str:
        verb = "WS" if operation.get("x-websocket") else method.upper()
        lines = [
            f"### `{verb} {path}`",
            "",
            f"{operation['summary']}. Role: {operation['x-role']}.",
        ]
        if "description" in operation:
            lines += ["", operation["description"]]
        parameters = operation.get("parameters", [])
        if parameters:
            lines += ["", "| parameter | in | type | |", "|---|---|---|---|"]
            lines += [self._parameter(one) for one in parameters]
        lines += ["", *self._exchange(operation)]
        return "\n".join(lines) + "\n\n"

    def _parameter(self, one: dict[str, Any]) -> str:
        name = f"`{one['name']}`" + (
            " (needed)" if one["required"] and one["in"] == "query" else ""
        )
        text = one.get("description", "").replace("\n", " ")
        return f"| {name} | {one['in']} | {self._kind(one['schema'])} | {text} |"

    def _exchange(self, operation: dict[str, Any]) -> list[str]:
        lines = []
        body = operation.get("requestBody")
        if body is not None:
            need = "" if body["required"] else " (may be left out)"
            lines.append(f"* body{need}: {self._content(body['content'])}")
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if answer["description"] in _USUAL and "application/problem+json" in content:
                continue
            is_problem = "application/problem+json" in content
            said = f": {self._content(content)}" if content and not is_problem else ""
            text = "" if said else f": {answer['description']}"
            lines.append(f"* {status}{said}{text}")
        return lines

    def _content(self, content: dict[str, Any]) -> str:
        said = []
        for media, part in content.items():
            schema = part.get("schema")
            kind = self._kind(schema) if schema else ""
            said.append(
                kind if media == "application/json" and kind else f"`{media}` {kind}".strip()
            )
        return ", ".join(said)

    def _type(self, name: str, schema: dict[str, Any]) -> str:
        lines = [f"### {name}", "", schema.get("description", "").strip()]
        fields = schema.get("properties", {})
        if fields:
            required = schema.get("required", [])
            lines += ["", "| field | type | default |", "|---|---|---|"]
            lines += [
                f"| `{field}` | {self._kind(kind)} | {_default(kind, field in required)} |"
                for field, kind in fields.items()
            ]
        elif "enum" in schema:
            lines += ["", "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."]
        elif not schema.get("properties"):
            lines += ["", self._kind(schema) + "."]
        return "\n".join(lines) + "\n\n"

    def _kind(self, schema: dict[str, Any]) -> str:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(SCHEMAS)
            return f"[{name}](#{name.lower()})"
        if "anyOf" in schema:
            return " or ".join(self._kind(part) for part in schema["anyOf"])
        if "enum" in schema:
            return " or ".join(f"`{value}`" for value in schema["enum"])
        kind = schema.get("type", "anything")
        if kind == "array":
            return f"list of {self._kind(schema.get('items', {}))}"
        if kind == "object":
            values = schema.get("additionalProperties")
            return f"object of {self._kind(values)}" if isinstance(values, dict) else "object"
        return f"{_NAMES.get(schema.get('format', ''), kind)}{_bounds(schema)}"


_NAMES = {"date-time": "instant"}


def _bounds(schema: dict[str, Any]) -> str:
    said = []
    for word, sign in (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    ):
        # A bound of 2^62 or so says no more than that the number has 64 bits.
        if word in schema and abs(schema[word]) < 2**53:
            said.append(
                f"{sign} {schema[word]:g}" if schema[word] < 10**6 else f"{sign} {schema[word]}"
            )
    if "maxLength" in schema and "format" not in schema:
        said.append(f"at most {schema['maxLength']} characters")
    if "pattern" in schema:
        pattern = schema["pattern"].replace("|", "\\|")
        said.append(f"`{pattern}`")
    return f" {', '.join(said)}" if said else ""


def _default(kind: dict[str, Any], is_required: bool) -> str:
    if is_required or "default" not in kind:
        return ""
    return f"`{json.dumps(kind['default'], ensure_ascii=False)}`"


if __name__ == "__main__":
    print(write(), end="")
