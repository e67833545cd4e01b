"""GET /openapi.json and GET /docs: what the API is, for programs and for people."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from starlette.responses import Response

from server.api import docs_page
from server.api.endpoint import JSON, Call, Endpoint, Role, Socket
from server.api.openapi import document

CACHED = {"cache-control": "no-cache"}


def endpoints(declared: list[Endpoint | Socket]) -> list[Endpoint]:
    """Declare the endpoints; the document tells of all, these included."""
    written = _Written()
    own = [
        Endpoint(
            "GET",
            "/openapi.json",
            written.answer,
            role=Role.PUBLIC,
            summary="Give this document (OpenAPI 3.1)",
            tag="document",
            answer=dict[str, Any],
        ),
        *docs_page.endpoints(),
    ]
    written.declared = [*declared, *own]
    return own


class _Written:
    """The document; made when it is first asked for, because most runs never are."""

    def __init__(self) -> None:
        self.declared: list[Endpoint | Socket] = []
        self._text = b""

    async def answer(self, call: Call[None, None]) -> Response:
        """Give the document."""
        if not self._text:
            self._text = msgspec.json.encode(document(self.declared, program_version()))
        return Response(self._text, media_type=JSON, headers=CACHED)


@cache
def program_version() -> str:
    """Give the version of the program; 0 where it is not installed."""
    try:
        return version("telerig")
    except PackageNotFoundError:
        return "0"
