"""What goes wrong while a request is served, as the answer that says so (RFC 9457)."""

from __future__ import annotations

import asyncpg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, old_error_response, problem_response
from server.errors import CommandRefused, RegistryError, UnknownDevice
from server.store.connection import STORE_ERRORS, first_line

RETRY_AFTER_S = 2
_OUR_FAULT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""The database answers, and will not take what a handler should have refused."""
KNOWN = (Refusal, RegistryError, CommandRefused, *STORE_ERRORS)
"""Errors that have an answer of their own; any other is a bug, and 500."""


def refusal_of(error: Exception) -> Refusal | None:
    """Give the refusal that tells an error to who asked; None where it is a bug."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RegistryError):
        status = 404 if isinstance(error, UnknownDevice) else 409
        return Refusal(status, error.where, error.expected, error.found)
    if isinstance(error, CommandRefused):
        return Refusal(error.status, error.where, error.expected, error.found)
    if isinstance(error, _OUR_FAULT):
        return None  # the same again would end the same way: no 503
    if isinstance(error, STORE_ERRORS):
        expected = "an answer from the database"
        headers = {"retry-after": str(RETRY_AFTER_S)}
        return Refusal(503, "database", expected, first_line(error), headers=headers)
    return None


def answer_to(error: Exception, path: str, *, is_old: bool = False) -> Response:
    """Make the answer that tells an error.

    Args:
        error: what went wrong; a bug is raised again.
        path: that was asked.
        is_old: in the form of older systems, {"error": {…}}.
    """
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    return old_error_response(refusal) if is_old else problem_response(refusal, path)


async def handle(request: Request, error: Exception) -> Response:
    """Answer an error of a path (an exception handler of Starlette)."""
    return answer_to(error, request.url.path)


async def handle_http(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such path, no such method there."""
    assert isinstance(error, HTTPException)
    expected = "a path and method of this API" if error.status_code < 500 else "an answer"
    where = f"{request.method} {request.url.path}"
    refusal = Refusal(error.status_code, where[:200], expected, error.detail, headers=error.headers)
    return problem_response(refusal, request.url.path)


async def handle_bug(request: Request, error: Exception) -> Response:
    """Answer a bug: 500, without a word of it; the log has it."""
    refusal = Refusal(500, "gateway", "an answer", "a fault of the gateway; its log tells more")
    return problem_response(refusal, request.url.path)
