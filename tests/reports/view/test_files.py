"""Files of the pages: kept for ever under a name of their state, asked again under any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reports.view import assets_folder
from reports.view.assets_folder import ASSETS, version_of_assets
from reports.view.compressed import Compressed
from reports.view.files import AssetFiles

MAIN = "js/main.js"


@pytest.fixture
def files() -> TestClient:
    """The files alone."""
    return TestClient(AssetFiles(), base_url="http://127.0.0.1")


def test_a_file_of_this_state_is_kept_for_ever(files: TestClient) -> None:
    """The address changes with the files: it may be kept."""
    answer = files.get(f"/assets/{version_of_assets()}/{MAIN}")
    assert answer.content == (ASSETS / MAIN).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_file_of_another_state_is_asked_for_again(files: TestClient) -> None:
    """Under another version the present file comes, is not kept, and costs nothing if unchanged."""
    answer = files.get(f"/assets/0000/{MAIN}")
    assert answer.headers["cache-control"] == "no-cache"
    same = files.get(f"/assets/0000/{MAIN}", headers={"if-none-match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/x",
        "/assets/x/",
        "/assets/x/..%2f..%2fapp.py",
        "/assets/x/js",
        "/assets/x/%2e%2e/%2e%2e/app.py",
        "/assets/x//etc/passwd",
        "/assets/x/js/none.js",
        "/assets/x/a%00b",
    ],
)
def test_only_files_of_the_folder_are_given(files: TestClient, path: str) -> None:
    """What is no file inside the folder is not there."""
    assert files.get(path).status_code == 404


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    """Another content, size or name makes another version."""
    (tmp_path / "a.js").write_text("1")
    first = assets_folder._digest(tmp_path)
    (tmp_path / "a.js").write_text("22")
    second = assets_folder._digest(tmp_path)
    (tmp_path / "b.js").write_text("")
    assert len({first, second, assets_folder._digest(tmp_path)}) == 3


def test_the_manifest_names_icons_that_are_there(files: TestClient) -> None:
    """The pages can be installed: name, start, icons of 192 and 512 px, one that can be masked."""
    answer = files.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = json.loads(answer.content)
    sizes = {icon["sizes"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= sizes
    assert any(icon.get("purpose") == "maskable" for icon in manifest["icons"])
    for icon in manifest["icons"]:
        assert files.get(icon["src"]).status_code == 200, icon


def test_the_service_worker_knows_the_files(files: TestClient) -> None:
    """Its text changes with the version, and it lists every script and style."""
    text = files.get("/sw.js").text
    assert text.startswith(f'const VERSION = "{version_of_assets()}";')
    listed = json.loads(text.splitlines()[1].removeprefix("const FILES = ").removesuffix(";"))
    assert f"/assets/{version_of_assets()}/{MAIN}" in listed
    assert files.get("/sw.js").headers["cache-control"] == "no-cache"


def test_other_machines_get_files_compressed() -> None:
    """To them a script comes as gzip, also the second time; to this machine as it is."""
    path = f"/assets/{version_of_assets()}/css/base.css"
    app = Compressed(AssetFiles())
    for _ in range(2):
        far = TestClient(app, client=("192.168.1.7", 1)).get(path)
        assert far.headers["content-encoding"] == "gzip"
        assert far.content == (ASSETS / "css/base.css").read_bytes()
        assert int(far.headers["content-length"]) < len(far.content) / 2
        assert "Accept-Encoding" in far.headers["vary"]
    near = TestClient(app, client=("127.0.0.1", 1)).get(path)
    assert "content-encoding" not in near.headers
