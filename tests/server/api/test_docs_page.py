"""The page at /docs: served by the gateway alone, and honest where its package is absent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from server.api import docs_page


@pytest.mark.promise("E06")
async def test_everything_of_the_page_is_local(run_gateway: Callable[..., Any]) -> None:
    """The page names no other host, its policy allows none, and each of its files is there."""
    async with run_gateway() as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        page = await client.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert not re.search(r"https?:|unsafe|\*", policy)
        assert not re.search(r"https?:|//", page.text)
        assert "<script>" not in page.text
        names = re.findall(r'(?:href|src)="(docs/[^"]+)"', page.text)
        assert len(names) == 4
        for name in names:
            answer = await client.get(f"/{name}")
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
        start = (await client.get("/docs/start.js")).text
        assert 'url: "openapi.json"' in start
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1.")


async def test_the_version_shows_openapi_3_1(run_gateway: Callable[..., Any]) -> None:
    """The installed Swagger UI is of version 5, the first that shows documents of 3.1."""
    async with run_gateway() as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        script = (await client.get("/docs/swagger-ui-bundle.js")).text
    assert "openapi31" in script.lower() or "OAS31" in script


async def test_files_beside_the_page(run_gateway: Callable[..., Any]) -> None:
    """Nothing but the page's files can be had, whatever path is tried."""
    async with run_gateway() as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        for name in ("VERSION", "..%2f__init__.py", "%2e%2e", "index.html", "..\\x", "%00"):
            answer = await client.get(f"/docs/{name}")
            assert answer.status_code == 404, name


async def test_without_the_package(
    run_gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra is not installed the page says how to get it, and the document is there."""
    monkeypatch.setattr(docs_page, "assets", lambda: None)
    async with run_gateway() as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert 'pip install "telerig[docs]"' in page.text
        assert (await client.get("/docs/swagger-ui-bundle.js")).status_code == 404
