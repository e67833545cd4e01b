"""Answers of the HTTP API: JSON, and refusals that say what was expected, what came, and where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_json = msgspec.json.Encoder()


class JsonResponse(Response):
    """A response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the content."""
        return _json.encode(content)


class Refusal(Exception):  # noqa: N818 (a request's, not a program's error)
    """A request is not served; answered with its status and {"error": {…}}.

    Args:
        status: of the answer, 4xx or 5xx.
        where: field, header, parameter or part that is at fault.
        expected: what should have come.
        found: what came; never a secret.
        detail: a further text at the top of the answer, for older clients.
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


def error_response(
    status: int,
    expected: str,
    found: str,
    where: str,
    headers: Mapping[str, str] | None = None,
    detail: str = "",
) -> Response:
    """Make the answer to a request that is not served."""
    body: dict[str, object] = {"error": {"expected": expected, "found": found, "where": where}}
    if detail:
        body["detail"] = detail
    return JsonResponse(body, status_code=status, headers=headers)


async def refusal_response(request: Request, error: Exception) -> Response:
    """Answer a Refusal (an exception handler of Starlette)."""
    assert isinstance(error, Refusal)
    return error_response(
        error.status, error.expected, error.found, error.where, error.headers, error.detail
    )
