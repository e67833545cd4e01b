"""The files of `assets/`; the manifest, the service worker and the icon at the addresses where
browsers look for them."""

from __future__ import annotations

import json
import mimetypes
from email.utils import formatdate
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Receive, Scope, Send

from reports.view.addresses import ASSETS as PREFIX
from reports.view.assets_folder import ASSETS, version_of_assets

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
AT_ROOT = {
    "/favicon.ico": "icons/icon-32.png",
    "/manifest.webmanifest": "manifest.webmanifest",
    "/sw.js": "sw.js",
}


class AssetFiles:
    """Answers `/assets/<version>/…`, `/manifest.webmanifest`, `/sw.js` and `/favicon.ico`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await _answer(scope)(scope, receive, send)


def _answer(scope: Scope) -> Response:
    path = scope["path"]
    version, _, name = path.removeprefix(PREFIX).partition("/")
    found = _inside(ASSETS, AT_ROOT.get(path, name))
    if found is None:
        return PlainTextResponse("no such file\n", 404)
    kept = FOR_EVER if version == version_of_assets() else ASK_AGAIN
    headers = {"cache-control": kept, "x-content-type-options": "nosniff"}
    kind = TYPES.get(found.suffix) or mimetypes.guess_type(found.name)[0]
    if path == "/sw.js":
        # A new version of any file is a new service worker: so the browser takes it.
        text = _worker_head() + found.read_text(encoding="utf-8")
        return Response(text, headers=headers, media_type=kind)
    state = found.stat()
    headers["last-modified"] = formatdate(state.st_mtime, usegmt=True)
    headers["etag"] = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
    if Headers(scope=scope).get("if-none-match") == headers["etag"]:
        return NotModifiedResponse(Headers(headers))
    return FileResponse(found, headers=headers, media_type=kind, stat_result=state)


def _worker_head() -> str:
    version = version_of_assets()
    kept = [
        f"{PREFIX}{version}/{path.relative_to(ASSETS)}"
        for folder, kind in (("js", "*.js"), ("css", "*.css"))
        for path in sorted((ASSETS / folder).rglob(kind))
    ]
    return f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(kept)};\n"


def _inside(folder: Path, name: str) -> Path | None:
    """Give the file of that name, if it is one and inside the folder."""
    if not name or "\0" in name:
        return None
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder) and path.is_file() else None
