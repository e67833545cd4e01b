"""What a request brings, read within bounds: its body, and JSON in it."""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from server.answers import BadParameter, Refusal

BODY_TIMEOUT_S = 10.0
"""A body that is not whole by then is refused: a slow sender must not hold a connection."""

CHOICE = "one of the documented values"
_NO_CHOICE = "Invalid enum value "

T = TypeVar("T")


_VALIDATION = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

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


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Give what the decoder makes of JSON; raise BadParameter that names the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise refusal_of_invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("body", "JSON", str(error)[:200] or "something else") from None


def check_no_nul(body: bytes) -> None:
    """Refuse JSON with NUL in a text: PostgreSQL has no such texts, and nobody a use for one."""
    if b"\\u0000" in body and _NUL.search(body):
        raise BadParameter("body", "texts without NUL", "one with it")


def refusal_of_invalid(message: str) -> BadParameter:
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
    if reason.startswith(_NO_CHOICE):
        return BadParameter(where or "body", CHOICE, reason.removeprefix(_NO_CHOICE)[:80])
    expected, _, found = reason.removeprefix("Expected ").partition(", got ")
    return BadParameter(where or "body", expected, found or "another value")
