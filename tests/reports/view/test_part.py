"""Parts and pages as data: what Dash sends to the browser."""

from __future__ import annotations

import json

import pytest

from reports.view.addresses import is_file, is_page
from reports.view.app import json_for_html
from reports.view.part import part


def test_a_part_carries_its_options() -> None:
    """Name and options stand in attributes; what is None is left out."""
    found = part("stage", id="stage", class_name="big", kind="run", run="a b", device=None)
    props = found.to_plotly_json()["props"]
    assert props["data-part"] == "stage"
    assert json.loads(props["data-options"]) == {"kind": "run", "run": "a b"}
    assert props["className"] == "part part-stage big"
    assert props["id"] == "stage"


def test_nothing_in_the_configuration_ends_its_script() -> None:
    """A title with markup stays a text."""
    text = json_for_html({"title": "</script><script>alert(1)</script>&"})
    assert "<" not in text
    assert json.loads(text)["title"].startswith("</script>")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", True),
        ("/index.html", True),
        ("/replay.html", True),
        ("/run/2026-x", True),
        ("/run/", False),
        ("/run", False),
        ("/run/a/b", False),
        ("/api/v1/links", False),
        ("/docs", False),
        ("/devices/", True),
        ("/device/esp-1", True),
    ],
)
def test_addresses_of_pages(path: str, expected: bool) -> None:
    """Which addresses are pages is known without loading what makes them."""
    assert is_page(path) is expected


def test_addresses_of_files() -> None:
    """Files lie under one prefix, and where browsers look for them."""
    assert is_file("/assets/x/y.js")
    assert is_file("/sw.js")
    assert not is_file("/assets")
