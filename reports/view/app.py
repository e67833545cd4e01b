"""The Dash application: pages, shell, index page; behind it no data and no callbacks of ours."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

from dash import Dash
from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from reports.view import analysis, pages, shell
from reports.view.addresses import SUITES
from reports.view.assets_folder import ASSETS, version_of_assets
from reports.view.config import KEY, ViewConfig

STYLES = ("base.css",)
"""Style sheets that come before the others, which follow by name."""

LARGEST_QUESTION_BYTES = 256 * 1024
"""Of what a page asks of Dash: it holds an address, and no data."""
UNUSED = re.compile(r'<script src="[^"]*/dash_table/[^"]*"></script>\n?')
"""Dash's old table, which every page would load and none shows."""

INDEX = """<!doctype html>
<html lang="en" data-rank="0">
<head>
{{%metas%}}
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#f6f7f8" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#0f1114" media="(prefers-color-scheme: dark)">
<title>{{%title%}}</title>
<link rel="icon" href="{base}/icons/icon.svg" type="image/svg+xml">
<link rel="apple-touch-icon" href="{base}/icons/icon-180.png">
<link rel="manifest" href="/manifest.webmanifest">
<script src="{base}/js/theme.js"></script>
{{%css%}}
{styles}
<link rel="modulepreload" href="{base}/js/mount.js">
<link rel="modulepreload" href="{base}/js/api.js">
<link rel="modulepreload" href="{base}/js/state.js">
<script type="application/json" id="view-config">{config}</script>
<script type="module" src="{base}/js/main.js"></script>
</head>
<body>
<noscript><p class="no-script">These pages are drawn by scripts, and this browser runs none here.
Allow scripts of this address. Without scripts there are: <code>telerig report RUN</code>, which
writes a page of a run that needs none, and a gateway's API, described at its <code>/docs</code>.
</p></noscript>
{{%app_entry%}}
<footer>
{{%config%}}
{{%scripts%}}
{{%renderer%}}
</footer>
</body>
</html>
"""


class ViewDash(Dash):
    """Dash with our index page, made anew for each answer: files of `assets` may have changed."""

    def __init__(self, config: ViewConfig) -> None:
        self.view = config
        super().__init__(
            "telerig_view",
            assets_folder=str(ASSETS),
            include_assets_files=False,
            pages_folder="",
            use_pages=True,
            serve_locally=True,
            suppress_callback_exceptions=True,
            title="telerig",
            update_title="",
            add_log_handler=False,
            meta_tags=[
                {"name": "viewport", "content": "width=device-width, initial-scale=1"},
                {"name": "referrer", "content": "same-origin"},
            ],
        )

    def interpolate_index(self, **kwargs: Any) -> str:  # type: ignore[override]
        """Give the page around the application."""
        base = f"/assets/{version_of_assets()}"
        template = INDEX.format(
            base=base,
            styles="\n".join(
                f'<link rel="stylesheet" href="{base}/css/{name}">' for name in style_sheets()
            ),
            config=json_for_html(self.view.document()),
        )
        # Open Graph and Twitter cards are for pages on the open net, which these are not.
        kwargs["metas"] = _without_cards(kwargs.get("metas", ""))
        kwargs["scripts"] = UNUSED.sub("", kwargs.get("scripts", ""))
        return re.sub(r"\{%(\w+)%\}", lambda match: str(kwargs.get(match[1], "")), template)


def make_dash(config: ViewConfig) -> Dash:
    """Make the application with all pages."""
    app = ViewDash(config)
    app.server.config[KEY] = config
    app.server.config["MAX_CONTENT_LENGTH"] = LARGEST_QUESTION_BYTES
    app.server.register_error_handler(Exception, _refuse)
    for found in pkgutil.iter_modules(pages.__path__):
        importlib.import_module(f"{pages.__name__}.{found.name}")
    app.layout = shell.layout
    analysis.wire(app)
    # The first request sets Dash up; `csp_hashes` knows all scripts only after that.
    with app.server.test_client() as client:
        client.get("/")
    return app


def _refuse(error: Exception) -> ResponseReturnValue:
    """Answer what Dash stumbles over: whatever somebody sends is no fault of the gateway's."""
    if isinstance(error, HTTPException):
        return error
    if request.path.startswith(SUITES):
        return "no such file\n", 404
    return f"expected a question of these pages, found {type(error).__name__}\n", 400


def style_sheets(folder: Path = ASSETS / "css") -> list[str]:
    """Give the names of the style sheets in the order in which they count."""
    names = sorted(path.name for path in folder.glob("*.css"))
    return [*STYLES, *(name for name in names if name not in STYLES)]


def json_for_html(document: Any) -> str:
    """Encode for a `<script type="application/json">`: nothing in it can end the element."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _without_cards(metas: str) -> str:
    return "\n".join(
        line for line in metas.splitlines() if 'property="' not in line and line.strip()
    )
