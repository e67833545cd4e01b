"""What a request asks for, checked: numbers, instants, names; and the answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from reports.runs.problem import BAD_REQUEST, TOO_LARGE, UNREADABLE, RunError

INT64_MAX = 2**63 - 1
MOST_BYTES = 4096
"""Of what a request sends."""
MOST_POINTS = 20_000
MOST_SIGNALS = 400
POINTS = 2000
_INTEGER = re.compile(r"-?\d{1,19}")
JSON, PROBLEM = "application/json", "application/problem+json"

Handler = Callable[[Request], Awaitable[Response]]


def integer(
    request: HTTPConnection, name: str, default: int, least: int = 0, most: int = INT64_MAX
) -> int:
    """Return a whole number of the query.

    Raises:
        RunError: it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    value = int(text) if _INTEGER.fullmatch(text) else None
    if value is None or not least <= value <= most:
        raise RunError(BAD_REQUEST, name, f"a whole number from {least} to {most}", repr(text[:60]))
    return value


def span(request: HTTPConnection) -> tuple[int, int]:
    """Return `start_ns` and `end_ns` of the query; without them, all time."""
    start_ns = integer(request, "start_ns", 0, -INT64_MAX)
    end_ns = integer(request, "end_ns", INT64_MAX, -INT64_MAX)
    if end_ns < start_ns:
        raise RunError(BAD_REQUEST, "end_ns", "an instant that is not before start_ns", str(end_ns))
    return start_ns, end_ns


def words(request: HTTPConnection, name: str) -> list[str]:
    """Return the words of a parameter that may come several times, or with commas."""
    found = [w for text in request.query_params.getlist(name) for w in text.split(",") if w]
    if len(found) > MOST_SIGNALS:
        raise RunError(BAD_REQUEST, name, f"at most {MOST_SIGNALS} of them", str(len(found)))
    return list(dict.fromkeys(found))


async def body_of(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        RunError: it is too long.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise RunError(TOO_LARGE, "body", f"at most {MOST_BYTES} bytes", "more")
    return body


def answering(make: Callable[[Request], Any]) -> Handler:
    """Return an endpoint that makes its answer, and its JSON, in a thread.

    `make` returns plain values, or a Response; a `RunError` becomes a problem document.
    """

    def answer(request: Request) -> Response:
        try:
            made = make(request)
        except RunError as error:
            return problem_of(error, request.url.path)
        except OSError as error:  # the folder goes away, the disk fails
            text = error.strerror or str(error)
            found = RunError(UNREADABLE, "record", "to read it", text, "was it removed?")
            return problem_of(found, request.url.path)
        if isinstance(made, Response):
            return made
        return Response(msgspec.json.encode(made), media_type=JSON, headers=NO_STORE)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return endpoint


NO_STORE = {"cache-control": "no-store"}


def problem_of(error: RunError, path: str) -> Response:
    """Return an error as problem+json (RFC 9457)."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "instance": path,
        "expected": error.expected,
        "found": error.found,
        "where": error.where,
    }
    return Response(msgspec.json.encode(body), error.status, NO_STORE, PROBLEM)
