"""The OpenAPI 3.1 document of the declared endpoints.

A WebSocket path stands in it as a GET that is answered with 101, marked `x-websocket`: OpenAPI has
no words of its own for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

import msgspec

from server.answers import PROBLEM, Problem
from server.api.decode import document_path
from server.api.endpoint import FORM, JSON, Endpoint, Role, Socket
from server.api.frame import path_types

VERSION = "3.1.1"
SCHEMAS = "#/components/schemas/"
TAGS = {
    "gateway": "Is it well? Links, signals, readiness.",
    "ingest": "What devices send.",
    "readings": "What was measured.",
    "sessions": "Automatic and manual sessions, and what was measured in them.",
    "trips": "Trips, found in the readings.",
    "vehicles": "Vehicles, and what was measured in them.",
    "live": "Live streams over WebSocket.",
    "replay": "Sessions played again as a live stream.",
    "alerts": "Rules, alerts, silences, and who is told.",
    "export": "Downloads.",
    "import": "What was recorded elsewhere.",
    "forward": "To another gateway.",
    "devices": "The registry of devices and their keys.",
    "commands": "Commands to devices.",
    "provisioning": "A new device gets its network and its key, from the gateway's own machine.",
    "users": "Users, signing in, tokens, the audit log.",
    "diagnostics": "Trouble codes and identifiers of a car.",
    "instances": "Several gateways on one database.",
    "operation": "For who runs the gateway.",
    "older systems": "Paths of the systems before this one, where `[compat]` switches them on.",
    "document": "This document.",
}
_SECURITY_SCHEMES = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The API secret (an admin), or the key of a device.",
    },
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "telerig_session",
        "description": "Of a browser that has signed in; what changes something needs the CSRF"
        " token too.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "One-time ticket of a WebSocket.",
    },
}
WORDS = {
    400: "Something is wrong with the query or body; `where` says what.",
    401: "No key or token, or a wrong one.",
    403: "The role is not enough, or a page of another origin asks.",
    404: "There is none, or it is not yours to see.",
    408: "The body was not whole in time.",
    413: "The body is larger than allowed.",
    415: "The body is of another content type.",
    426: "Not a WebSocket handshake.",
    429: "Too many requests; `Retry-After` says when.",
    500: "A fault of the gateway.",
    503: "The database is away; `Retry-After` says when.",
}
_OLD_ERROR = {
    "type": "object",
    "title": "OldError",
    "description": "An error in the form of older systems.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["expected", "found", "where"],
            "properties": {name: {"type": "string"} for name in ("expected", "found", "where")},
        },
        "detail": {"type": "string"},
    },
}


def document(declared: Iterable[Endpoint | Socket], version: str) -> dict[str, Any]:
    """Make the document.

    Args:
        declared: the endpoints.
        version: of the program.
    """
    every = list(declared)
    schemas = _Schemas(every)
    paths: dict[str, dict[str, Any]] = {}
    for one in every:
        method = "get" if isinstance(one, Socket) else one.method.lower()
        paths.setdefault(document_path(one.path), {})[method] = _operation(one, schemas)
    used = {one.tag for one in every}
    names = [*(tag for tag in TAGS if tag in used), *sorted(used - set(TAGS))]
    return {
        "openapi": VERSION,
        "info": {
            "title": "telerig gateway",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": [{"name": name, "description": TAGS.get(name, "")} for name in names],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY_SCHEMES},
    }


_DESCRIPTION = """\
Instants are UTC nanoseconds since 1970 (`…_ns`) or ISO 8601. Unknown parameters and fields are
refused. Whatever is refused is answered with a problem (RFC 9457) that says what was `expected`,
what was `found`, and `where`. Lists take `limit` and `offset`; readings go by `after`, which is
the `next` of the page before. Each operation names the role it needs as `x-role`:
viewer, operator and admin include each other, in this order."""


class _Schemas:
    """Schemas of all types that the endpoints name."""

    def __init__(self, declared: list[Endpoint | Socket]) -> None:
        self._types: list[Any] = [Problem]
        for one in declared:
            self._types += path_types(one).values()
            if one.query is not None:
                self._types.append(one.query)
            if isinstance(one, Endpoint):
                kinds = (one.body, one.answer, one.own_error)
                self._types += [kind for kind in kinds if _has_schema(kind)]
        made, components = msgspec.json.schema_components(
            self._types, ref_template=SCHEMAS + "{name}"
        )
        self._names = _short_names(components)
        self._made = dict(zip(map(id, self._types), map(self._plain, made), strict=True))
        self._all = {self._names[name]: self._plain(made) for name, made in components.items()}
        self._all["OldError"] = _OLD_ERROR
        # A query is not one thing in OpenAPI, but its parameters.
        queries = {self.name(one.query) for one in declared if one.query is not None}
        self.components = {
            name: schema for name, schema in sorted(self._all.items()) if name not in queries
        }

    def of(self, kind: Any) -> dict[str, Any]:
        """Give the schema of a type, or the reference to it."""
        found: dict[str, Any] = self._made[id(kind)]
        return found

    def name(self, kind: Any) -> str:
        """Give the name of a Struct's schema."""
        return str(self.of(kind)["$ref"].removeprefix(SCHEMAS))

    def fields(self, kind: Any) -> tuple[dict[str, Any], list[str]]:
        """Give the schemas of a Struct's fields, and which of them must be there."""
        schema = self._all[self.name(kind)]
        return schema.get("properties", {}), schema.get("required", [])

    def _plain(self, schema: Any) -> Any:
        """Give a schema with short names, and descriptions as Markdown."""
        if isinstance(schema, Mapping):
            made = {name: self._plain(part) for name, part in schema.items()}
            if isinstance(made.get("description"), str):
                made["description"] = _without_attributes(made["description"])
            if isinstance(made.get("$ref"), str):
                made["$ref"] = SCHEMAS + self._names[made["$ref"].removeprefix(SCHEMAS)]
            return made
        return (
            [self._plain(part) for part in schema] if isinstance(schema, list | tuple) else schema
        )


def _short_names(components: Iterable[str]) -> dict[str, str]:
    """Give short names for those that msgspec made long, because several types have one name.

    `server.control.command.State` is `ControlState`; a problem of this API is just that.
    """
    names = {name: name for name in components}
    names["server.answers.Problem"] = "Problem"
    for name in components:
        parts = name.split(".")
        if len(parts) > 2 and name != "server.answers.Problem":
            names[name] = "".join(word.capitalize() for word in parts[1].split("_")) + parts[-1]
    return names


def _has_schema(kind: Any) -> bool:
    return kind is not None and kind is not bytes


def _without_attributes(text: str) -> str:
    """Give a docstring as Markdown: the attributes as a list."""
    head, _, attributes = cleandoc(text).partition("\n\nAttributes:\n")
    items = re.sub(r"\n {8,}", " ", attributes)
    lines = [line.strip() for line in items.splitlines() if line.strip()]
    listed = [re.sub(r"^(\w+): ", r"* `\1`: ", line) for line in lines]
    return head.strip() + ("\n\n" + "\n".join(listed) if listed else "")


def _operation(one: Endpoint | Socket, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _operation_id(one),
        "summary": one.summary,
        "tags": [one.tag],
        "x-role": "device itself, or " * one.or_device + one.role.value,
    }
    if one.description:
        made["description"] = one.description
    if isinstance(one, Socket):
        made["x-websocket"] = True
    parameters = [*_path_parameters(one, schemas), *_query_parameters(one, schemas)]
    if parameters:
        made["parameters"] = parameters
    if isinstance(one, Endpoint) and one.body is not None:
        made["requestBody"] = _request_body(one, schemas)
    made["responses"] = _responses(one, schemas)
    security = _security(one)
    if security is not None:
        made["security"] = security
    return made


def _operation_id(one: Endpoint | Socket) -> str:
    method = "listen" if isinstance(one, Socket) else one.method.lower()
    words = re.findall(r"[A-Za-z0-9]+", document_path(one.path).removeprefix("/api"))
    return "_".join([method, *words])


def _path_parameters(one: Endpoint | Socket, schemas: _Schemas) -> list[dict[str, Any]]:
    return [
        _parameter("path", name, schemas.of(kind), is_required=True)
        for name, kind in path_types(one).items()
    ]


def _query_parameters(one: Endpoint | Socket, schemas: _Schemas) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    fields, required = schemas.fields(one.query)
    return [
        _parameter("query", name, schema, is_required=name in required)
        for name, schema in fields.items()
    ]


def _parameter(
    place: str, name: str, schema: dict[str, Any], *, is_required: bool
) -> dict[str, Any]:
    schema = _without_null(schema)
    made: dict[str, Any] = {"name": name, "in": place, "required": is_required}
    description = schema.get("description")
    if isinstance(description, str):
        made["description"] = description
        schema = {key: value for key, value in schema.items() if key != "description"}
    if schema.get("type") == "array":
        text = "Several times, or once with commas."
        made["description"] = f"{made.get('description', '')} {text}".strip()
        made |= {"style": "form", "explode": True}
    return {**made, "schema": schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of a parameter: one that is null is one that is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if not kinds or len(kinds) == len(schema["anyOf"]):
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **rest}


def _request_body(one: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media in one.body_media:
        is_decoded = media in (JSON, FORM) and one.body is not bytes
        content[media] = {"schema": schemas.of(one.body)} if is_decoded else {}
    return {"required": not one.body_optional, "content": content}


def _responses(one: Endpoint | Socket, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(one, Socket):
        found["101"] = {"description": "The WebSocket is open."}
    else:
        found[str(one.status)] = _good(one, schemas)
        for status in one.also_answers:
            found[str(status)] = _good(one, schemas, status)
    problems = dict.fromkeys(problem_statuses(one), "")
    for status, meaning in one.also if isinstance(one, Endpoint) else ():
        problems[status] = meaning
    for status in sorted(problems):
        if str(status) not in found:
            text = problems[status] or WORDS.get(status) or HTTPStatus(status).phrase
            found[str(status)] = _refused(text, _own_error(one, schemas))
    return dict(sorted(found.items()))


def problem_statuses(one: Endpoint | Socket) -> set[int]:
    """Give the statuses of problems that the frame itself may answer."""
    found = {500, 503}
    if one.query is not None or one.role is not Role.COMPAT:
        found.add(400)
    if "{" in one.path:
        found.add(404)
    if one.role is not Role.PUBLIC:
        found |= {401, 403, 429}
    if isinstance(one, Socket):
        found.add(426)
    elif one.method != "GET":
        found.add(403)  # a page of another origin
    if isinstance(one, Endpoint) and one.body is not None:
        found |= {400, 408, 413}
        if JSON not in one.body_media:
            found.add(415)
    return found


def _good(one: Endpoint, schemas: _Schemas, status: int | None = None) -> dict[str, Any]:
    phrase = HTTPStatus(status or one.status).phrase
    made: dict[str, Any] = {"description": phrase}
    if one.answer is None and one.media == JSON:
        return made
    is_typed = _has_schema(one.answer) and one.media == JSON
    content: dict[str, Any] = {one.media: {"schema": schemas.of(one.answer)} if is_typed else {}}
    content |= {media: {} for media in one.more_media}
    return {**made, "content": content}


def _own_error(one: Endpoint | Socket, schemas: _Schemas) -> dict[str, Any] | None:
    if isinstance(one, Endpoint) and one.own_error is not None:
        return schemas.of(one.own_error)
    return {"$ref": SCHEMAS + "OldError"} if one.role is Role.COMPAT else None


def _refused(text: str, own_error: dict[str, Any] | None) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": SCHEMAS + "Problem"}}}
    if own_error is not None:
        # Both: what stands around such a path answers in the form of this API.
        content[JSON] = {"schema": own_error}
    return {"description": text, "content": content}


def _security(one: Endpoint | Socket) -> list[dict[str, list[str]]] | None:
    if one.role is Role.PUBLIC:
        return []
    if one.role is Role.DEVICE:
        return [{"key": []}]
    if one.role is Role.COMPAT:
        return [{}, {"key": []}]
    found: list[dict[str, list[str]]] = [{"key": []}, {"token": []}, {"session": []}]
    return [*found, {"ticket": []}] if isinstance(one, Socket) else found
