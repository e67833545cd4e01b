"""What is told instead of a good answer: problem+json (RFC 9457), as the gateway tells it."""

from __future__ import annotations

import sys
from http import HTTPStatus

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROBLEM = "application/problem+json"


def problem(
    status: int, detail: str, path: str, *, expected: str = "", found: str = "", where: str = ""
) -> Response:
    """Make the answer; `detail` is all of it in one sentence."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path[:500],
        "expected": expected,
        "found": found,
        "where": where,
    }
    return JSONResponse(body, status, media_type=PROBLEM)


class NotFound:
    """Answers what nobody else does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that there is nothing."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        path, expected = scope["path"], "a page, or a path of /api/runs (no gateway is shown here)"
        detail = f"path: expected {expected}, found {path[:200]!r}"
        answer = problem(404, detail, path, expected=expected, found=repr(path[:200]), where="path")
        await answer(scope, receive, send)


class Boundary:
    """The outermost layer: what should not have happened becomes an answer and one line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ConnectionError:
            pass  # one of the two ends went away; the other one sees that the answer is not whole
        except Exception as error:  # noqa: BLE001 (the boundary of a request)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"telerig view: a mistake in telerig itself: {text}", file=sys.stderr, flush=True)
            if scope["type"] == "http" and not begun:
                detail = f"a mistake in telerig itself: {text}"
                await problem(500, detail, scope["path"])(scope, receive, send)
