"""The addresses of the pages, known without loading what makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAGES = (
    "/",
    "/alerts",
    "/compare",
    "/device/<device>",
    "/devices",
    "/index.html",
    "/links",
    "/live",
    "/login",
    "/provision",
    "/replay.html",
    "/run/<run>",
    "/runs",
    "/session/<session>",
    "/sessions",
    "/settings",
    "/setup",
    "/station",
    "/users",
)
FILES = ("/favicon.ico", "/manifest.webmanifest", "/sw.js")
ASSETS = "/assets/"
SUITES = "/_dash-component-suites/"
DASH = (SUITES, "/_dash-dependencies", "/_dash-layout", "/_dash-update-component")
OF_GATEWAY = ("/api/", "/docs", "/health", "/metrics", "/openapi.json", "/ready")
"""Addresses of a gateway's own, which browsers may open too."""
READ = ("GET", "HEAD")

_TEMPLATES = [path.strip("/").split("/") for path in PAGES]


def is_page(path: str) -> bool:
    """Tell whether an address is that of a page, whatever the values in it."""
    parts = path.strip("/").split("/")
    return any(
        len(template) == len(parts)
        and all(t == p or (t[:1] == "<" and p) for t, p in zip(template, parts, strict=True))
        for template in _TEMPLATES
    )


def is_file(path: str) -> bool:
    """Tell whether an address is that of a file of the pages."""
    return path.startswith(ASSETS) or path in FILES


def wants_page(scope: Mapping[str, Any]) -> bool:
    """Tell whether a browser asks for something to show, where perhaps no page is."""
    if scope["path"].startswith(OF_GATEWAY):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
