"""Answers of the HTTP API: JSON, and problems that say what was expected, what came, and where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

PROBLEM = "application/problem+json"
NO_STORE = {"cache-control": "no-store"}
"""Headers of an answer that holds a secret."""

_json = msgspec.json.Encoder()


class JsonResponse(Response):
    """A response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the content."""
        return _json.encode(content)


class Refusal(Exception):  # noqa: N818 (a request's, not a program's error)
    """A request is not served; answered with its status and a `Problem`.

    Args:
        status: of the answer, 4xx or 5xx.
        where: field, header, parameter or part that is at fault.
        expected: what should have come.
        found: what came; never a secret.
        detail: the answer's text for a person; default: made of the three above.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        where: str,
        expected: str,
        found: str,
        *,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.status = status
        self.where = where
        self.expected = expected
        self.found = found
        self.detail = detail
        self.headers = headers


class BadParameter(Refusal):
    """A query parameter or field is wrong; answered with 400."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(400, where, expected, found)


def iso(instant_ns: int) -> str:
    """Give an instant as ISO 8601 in UTC with milliseconds."""
    when = datetime.fromtimestamp(instant_ns // 10**9, UTC).replace(
        microsecond=instant_ns % 10**9 // 1000
    )
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is told instead of a good answer (RFC 9457).

    Attributes:
        type: no page is behind it: what is wrong is told by the other fields.
        title: what the status means.
        status: of the answer.
        detail: all of it in one sentence.
        instance: the path that was asked.
        expected: what should have come.
        found: what came.
        where: field, header, parameter or part that is at fault.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    expected: str
    found: str
    where: str


def problem_body(refusal: Refusal, path: str) -> bytes:
    """Encode the problem of a refused request."""
    try:
        title = HTTPStatus(refusal.status).phrase
    except ValueError:
        title = "Error"
    return _json.encode(
        Problem(
            title=title,
            status=refusal.status,
            detail=refusal.detail or str(refusal),
            instance=quote(path[:500], safe="/:@!$&'()*+,;=~-._", errors="replace"),
            expected=refusal.expected,
            found=refusal.found,
            where=refusal.where,
        )
    )


def problem_response(refusal: Refusal, path: str) -> Response:
    """Make the answer to a request that is not served."""
    headers = dict(refusal.headers) if refusal.headers is not None else None
    return Response(problem_body(refusal, path), refusal.status, headers, PROBLEM)


def old_error_response(refusal: Refusal) -> Response:
    """Make the same answer in the form that clients of older systems know."""
    body: dict[str, Any] = {
        "error": {
            "expected": refusal.expected,
            "found": refusal.found,
            "where": refusal.where,
        }
    }
    if refusal.detail:
        body["detail"] = refusal.detail
    return JsonResponse(body, status_code=refusal.status, headers=refusal.headers)
