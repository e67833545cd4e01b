"""What is sent to Dash by whoever can reach it ends as a refusal, not as a fault."""

from __future__ import annotations

import sys

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from reports.view.command import COMMAND
from reports.view.config import ViewConfig
from reports.view.errors import ViewError
from reports.view.mount import Pages

NOBODY = PlainTextResponse("nothing", 404)
QUESTION = "/_dash-update-component"


@pytest.fixture(scope="module")
def client() -> TestClient:
    """The pages of a gateway."""
    return TestClient(Pages(ViewConfig(), NOBODY), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"output": 1}',
        b"\xff",
        b'{"a":' * 20_000,
        b'{"output":"x.y","inputs":[],"outputs":{"id":"x","property":"y"},"changedPropIds":[]}',
    ],
)
def test_garbage_is_refused(client: TestClient, body: bytes) -> None:
    """Each is answered with 400."""
    headers = {"content-type": "application/json"}
    assert client.post(QUESTION, content=body, headers=headers).status_code == 400


def test_large_questions_are_refused(client: TestClient) -> None:
    """A page asks with an address; nobody may fill the memory."""
    headers = {"content-type": "application/json"}
    assert client.post(QUESTION, content=b"x" * 300_000, headers=headers).status_code in (400, 413)


@pytest.mark.parametrize(
    "path", ["/_dash-component-suites/os/path.py", "/_dash-component-suites/dash/none.js"]
)
def test_only_files_of_components_are_given(client: TestClient, path: str) -> None:
    """What is none of them is not there."""
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "accept", "status"),
    [
        ("GET", "/", "*/*", 200),
        ("HEAD", "/live", "*/*", 200),
        ("GET", "/none", "text/html", 404),
        ("GET", "/_dash-none", "*/*", 404),
        ("POST", "/", "text/html", 404),
        ("GET", "/api/none", "text/html", 404),
    ],
)
def test_what_is_whose(
    client: TestClient, method: str, path: str, accept: str, status: int
) -> None:
    """Pages answer their addresses and what a browser asks to see; the rest goes on."""
    answer = client.request(method, path, headers={"accept": accept})
    assert answer.status_code == status
    is_ours = status == 200 or (accept == "text/html" and path == "/none")
    assert ("x-telerig-page" in answer.headers) == is_ours


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It names the package and the extra."""
    monkeypatch.setitem(sys.modules, "flask", None)
    for name in [name for name in sys.modules if name.startswith("reports.view.")]:
        if name not in ("reports.view.command", "reports.view.errors"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ViewError, match=r"'flask'.*telerig\[view\]"):
        COMMAND.run(None)  # type: ignore[arg-type]
