"""What a request brings, read within bounds: body, JSON, query parameters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from server.answers import BadParameter, Refusal
from server.catalogue import by_id, by_name
from server.errors import CatalogueError
from server.store.reader import Cursor

JSON_LIMIT_BYTES = 65_536
BODY_TIMEOUT_S = 10.0
"""A body that is not whole by then is refused: a slow sender must not hold a connection."""

T = TypeVar("T")

_INT64_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_VALIDATION = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)

_ODD = {
    "Number out of range": ("a number that float64 can hold", "a greater one"),
    "Invalid RFC3339 encoded datetime": ("an instant as 2026-01-31T12:00:00Z", "another text"),
}
"""What msgspec says of these has no "Expected …, got …": what it wanted, and what it got."""


async def read_body(request: Request, limit_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """Give the body; never holds more than the limit, whatever the headers claim.

    Raises:
        Refusal: 413 too large, 408 too slow, 400 the sender went away.
    """
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > limit_bytes:
        raise _too_large(limit_bytes, f"{claimed[:20]} bytes")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit_bytes:
                    raise _too_large(limit_bytes, "more")
                chunks.append(chunk)
    except TimeoutError:
        found = f"{size} bytes in that time"
        raise Refusal(408, "body", f"a whole body within {timeout_s:g} s", found) from None
    except ClientDisconnect:
        raise Refusal(400, "body", "a whole body", f"{size} bytes, then the end") from None
    return b"".join(chunks)


def _too_large(limit_bytes: int, found: str) -> Refusal:
    # The rest of the body is not read: the connection is of no use any more.
    headers = {"connection": "close"}
    return Refusal(413, "body", f"at most {limit_bytes} bytes", found, headers=headers)


async def read_json(
    request: Request, decoder: msgspec.json.Decoder[T], limit_bytes: int = JSON_LIMIT_BYTES
) -> T:
    """Give the body as what the decoder makes of it.

    Raises:
        Refusal: as `read_body`, and 400 where it is not that JSON; names the field.
    """
    return decode_json(await read_body(request, limit_bytes), decoder)


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Give what the decoder makes of JSON; raise BadParameter that names the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("body", "JSON", str(error)[:200] or "something else") from None


def _invalid(message: str) -> BadParameter:
    """Take msgspec's message apart: what it wanted, what it got, at which field."""
    match = _VALIDATION.fullmatch(message)
    reason, where = (match[1], match[2] or "") if match else (message, "")
    field = _FIELD.fullmatch(reason)
    if field is not None:
        place = f"{where}.{field[2]}" if where else field[2]
        if field[1] == "missing required":
            return BadParameter(place, "this field", "none")
        return BadParameter(place, "only documented fields", "an unknown one")
    if reason in _ODD:
        return BadParameter(where or "body", *_ODD[reason])
    expected, _, found = reason.removeprefix("Expected ").partition(", got ")
    return BadParameter(where or "body", expected, found or "another value")


def known(request: Request, names: tuple[str, ...]) -> Mapping[str, str]:
    """Give the query parameters; refuse those that the path does not know."""
    for name in request.query_params:
        if name not in names:
            expected = f"one of {', '.join(names)}" if names else "no parameter"
            raise BadParameter("query", expected, repr(name[:80]))
    return request.query_params


def integer(
    parameters: Mapping[str, str], name: str, default: int, minimum: int, maximum: int
) -> int:
    """Give a whole number of the query, within its bounds."""
    text = parameters.get(name)
    if text is None:
        return default
    expected = f"a whole number from {minimum} to {maximum}"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadParameter(name, expected, repr(text[:40]))
    if not minimum <= int(text) <= maximum:
        raise BadParameter(name, expected, text)
    return int(text)


def signals(request: Request) -> frozenset[int] | None:
    """Read ?signal=RPM&signal=13 (names or ids, any number); None when there is none."""
    texts = request.query_params.getlist("signal")
    if not texts:
        return None
    return frozenset(_signal(text) for text in texts)


def _signal(text: str) -> int:
    try:
        is_id = text.isascii() and text.isdigit() and len(text) < 10
        return by_id(int(text)).id if is_id else by_name(text).id
    except CatalogueError as error:
        raise BadParameter("signal", "a name or id of /api/v1/signals", str(error)) from None


def cursor(parameters: Mapping[str, str]) -> Cursor | None:
    """Read ?after=, which says where a page begins."""
    text = parameters.get("after")
    if text is None:
        return None
    found = Cursor.parse(text)
    if found is None:
        raise BadParameter("after", 'the "next" of an earlier answer', repr(text[:80]))
    return found


def instant_ns(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Read an instant: ?NAME_ns= as UTC nanoseconds, or ?NAME= as ISO 8601 (UTC where it says
    no zone)."""
    if f"{name}_ns" in parameters or name not in parameters:
        return integer(parameters, f"{name}_ns", default, 0, _INT64_MAX)
    text = parameters[name]
    try:
        # A plus sign in a query that was not escaped arrives as a space.
        when = datetime.fromisoformat(text[:40].replace(" ", "+") if "T" in text else text[:40])
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        since = when - _EPOCH
    except (ValueError, OverflowError):
        raise BadParameter(name, "an instant as 2026-01-31T12:00:00Z", repr(text[:40])) from None
    found = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    if not 0 <= found <= _INT64_MAX:
        raise BadParameter(name, "an instant between 1970 and 2262", repr(text[:40]))
    return found
