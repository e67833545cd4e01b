"""POST /api/runs/{run}/cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from reports.runs.routes import make_routes
from reports.runs.run import Run
from rig.scenario import load_scenario

HERE, ELSEWHERE = ("127.0.0.1", 50000), ("192.0.2.7", 50000)
WINDOW = {"start_s": 13.0, "end_s": 21.0, "name": "cut_here"}


@pytest.fixture
def client(real_drive: Run) -> TestClient:
    """A browser on this machine, over real runs."""
    return TestClient(Starlette(routes=make_routes(real_drive.folder.parent)), client=HERE)


@pytest.fixture
def scenarios(real_drive: Run) -> Iterator[Path]:
    """Where the run's scenario lies; what is written there is removed."""
    folder = Path(real_drive.manifest.scenario_path).parent
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


def test_a_window_becomes_a_scenario(client: TestClient, real_drive: Run, scenarios: Path) -> None:
    """The file stands beside the run's, can be loaded, and the answer says how to run it."""
    answer = client.post(f"/api/runs/{real_drive.id}/cut", json=WINDOW)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    path = scenarios / "cut_here.scenario.yaml"
    assert made["file"] == str(path)
    assert made["command"].startswith("telerig run ")
    assert made["command"].endswith("cut_here.scenario.yaml")
    assert load_scenario(path).seed == real_drive.manifest.seed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../evil"}, "expected small letters"),
        ({"name": ""}, "expected small letters"),
        ({"start_s": 21, "end_s": 13}, "expected at least"),
        ({"start_s": 900, "end_s": 990}, "expected at least"),
        ({"start_s": "8"}, "start_s"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_cannot_be_cut_is_said(
    client: TestClient, real_drive: Run, scenarios: Path, change: dict[str, object], words: str
) -> None:
    """Status 400, in words, and no file."""
    before = sorted(scenarios.iterdir())
    answer = client.post(f"/api/runs/{real_drive.id}/cut", json=WINDOW | change)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["detail"]
    assert sorted(scenarios.iterdir()) == before


def test_an_existing_file_stays(client: TestClient, real_drive: Run, scenarios: Path) -> None:
    """A name that is taken is refused, and its file is not touched."""
    taken = scenarios / "cut_here.scenario.yaml"
    taken.write_text("mine", encoding="utf-8")
    answer = client.post(f"/api/runs/{real_drive.id}/cut", json=WINDOW)
    assert answer.status_code == 400
    assert "another name" in answer.json()["detail"]
    assert taken.read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("scenarios")
def test_only_pages_of_this_machine_may_write(client: TestClient, real_drive: Run) -> None:
    """Another machine, another site, an answer that is too long, a run that is not there."""
    path = f"/api/runs/{real_drive.id}/cut"
    far = TestClient(client.app, client=ELSEWHERE)
    assert far.post(path, json=WINDOW).status_code == 403
    assert client.post(path, json=WINDOW, headers={"origin": "http://evil.test"}).status_code == 403
    cross = {"sec-fetch-site": "cross-site"}
    assert client.post(path, json=WINDOW, headers=cross).status_code == 403
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.post(path, json=WINDOW, headers=own).status_code == 201
    assert client.post(path, content=b" " * 5000).status_code == 413
    assert client.post("/api/runs/nothing/cut", json=WINDOW).status_code == 404
    assert client.get(path).status_code == 405
