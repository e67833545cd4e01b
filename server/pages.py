"""Pages that other packages bring, on the gateway's own address.

The gateway has none of its own and imports none: a package offers them by an entry point of the
group `telerig.mounts`, a function `mount(fallback) -> ASGI application`. The application answers
what is asked of its pages, and hands everything else to `fallback`; whatever the API declares never
comes to it. It is loaded when the gateway starts, and should load what is heavy only when a page is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import structlog
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger("telerig.pages")

GROUP = "telerig.mounts"
ABSENT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>telerig gateway</title>
<h1>telerig gateway</h1>
<p>The gateway runs. Its pages are not installed here; on the gateway's machine:
<pre>pip install 'telerig[view]'</pre>
<p>and start it again. Or look at it from another machine that has them:
<code>telerig view --gateway</code> with this address.
<p>The API is here: <a href="/docs">documentation</a>, <a href="/ready">state</a>.
</html>
"""
ENTRIES = frozenset(("/", "/index.html", "/replay.html"))


def with_pages(api: ASGIApp, points: Iterable[EntryPoint] | None = None) -> ASGIApp:
    """Give what answers whatever the API does not declare.

    Args:
        api: answers that there is nothing.
        points: default all of the group.
    """
    found = api
    is_there = False
    for point in sorted(entry_points(group=GROUP) if points is None else points):
        try:
            found = point.load()(found)
        except ImportError as error:
            log.info("pages not installed", name=point.name, missing=error.name)
        else:
            is_there = True
    return found if is_there else Absent(api)


class Absent:
    """Says at the pages' addresses what would bring them."""

    def __init__(self, api: ASGIApp) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        is_page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if is_page and scope["path"] in ENTRIES:
            await HTMLResponse(ABSENT)(scope, receive, send)
        else:
            await self._api(scope, receive, send)
