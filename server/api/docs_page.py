"""GET /docs: the document as a page on which one can try each operation.

The page is Swagger UI as the package `flask-swagger-ui` carries it (extra `docs`); of that package
only the files are used, nothing of it is imported. No browser is sent to another host: the page's
Content-Security-Policy allows this gateway alone.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import FileResponse, Response

from server.answers import Refusal
from server.api.endpoint import Call, Endpoint, Role

PACKAGE = "flask_swagger_ui"
EXTRA = "docs"
HTML = "text/html"
_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>telerig gateway: API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<noscript>This page needs JavaScript. The document it shows: <a href="openapi.json">openapi.json</a>
</noscript>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """\
"use strict";
// A session's cookie alone changes nothing: its token is sent beside it.
const csrf = async () => {
  const answer = await fetch("api/v1/auth/me");
  return answer.ok ? (await answer.json()).csrf : null;
};
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  syntaxHighlight: {activated: true},
  requestInterceptor: async (request) => {
    const token = (request.method ?? "GET") === "GET" ? null : await csrf();
    if (token) request.headers["X-CSRF-Token"] = token;
    return request;
  },
});
"""
_ABSENT = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>telerig gateway: API</title></head>
<body>
<h1>The interactive documentation is not installed</h1>
<p>It comes with the extra <code>docs</code>: <code>pip install "telerig[docs]"</code>, then start
the gateway again.</p>
<p>The document itself is at <a href="openapi.json">openapi.json</a>; any program that reads
OpenAPI 3.1 shows it.</p>
</body>
</html>
"""


def endpoints() -> list[Endpoint]:
    """Declare the endpoints."""
    return [
        Endpoint(
            "GET",
            "/docs",
            page,
            role=Role.PUBLIC,
            summary="Show this document as a page to try it on",
            tag="document",
            media=HTML,
        ),
        Endpoint(
            "GET",
            "/docs/{file}",
            file,
            role=Role.PUBLIC,
            summary="Give a file of that page",
            tag="document",
            media="text/javascript",
            more_media=("text/css", "image/png"),
        ),
    ]


@cache
def assets() -> Path | None:
    """Give the directory of Swagger UI's files; None where the package is not installed."""
    found = find_spec(PACKAGE)
    for place in (found and found.submodule_search_locations) or ():
        files = Path(place) / "dist"
        if all((files / name).is_file() for name in _TYPES):
            return files
    return None


async def page(call: Call[None, None]) -> Response:
    """Show the page, or say how to get it."""
    is_here = assets() is not None
    return Response(_PAGE if is_here else _ABSENT, headers=HEADERS, media_type=HTML)


async def file(call: Call[None, None]) -> Response:
    """Give a file of the page."""
    name = call.path["file"]
    files = assets()
    if files is not None and name == "start.js":
        return Response(_START, headers=HEADERS, media_type="text/javascript")
    if files is None or name not in _TYPES:
        raise Refusal(404, "file", "a file of the page /docs", repr(name[:80]))
    return FileResponse(files / name, headers=HEADERS, media_type=_TYPES[name])
