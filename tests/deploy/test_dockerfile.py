"""The Dockerfile: rules as hadolint checks them, and that what it names is there.

Its commands are run in a clean folder by `tests.benchmarks.container`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.dockerfile import Stage, exec_form, read_dockerfile

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
ARGUMENTS, STAGES = read_dockerfile(DOCKERFILE)
BUILD, FINAL = STAGES
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", STAGES, ids=["build", "final"])
def test_rules_of_every_stage(stage: Stage) -> None:
    """Bases have a tag that is not latest, folders are absolute, nothing is fetched unpinned."""
    assert re.fullmatch(r"python:3\.\d+-[\w.-]+", stage.base), "DL3006, DL3007"
    assert all(text.startswith("/") for text in stage.texts("WORKDIR")), "DL3000"
    assert not stage.texts("ADD"), "DL3020"
    assert not stage.texts("MAINTAINER"), "DL4000"
    for command in stage.texts("RUN"):
        assert not re.search(r"\b(sudo|ssh|vim|shutdown|top)\b", command), "DL3004, DL3001"
        assert not re.search(r"\bcd /", command), "DL3003"
        assert "apt-get" not in command or "--no-install-recommends" in command, "DL3015"
        assert "|" not in command.replace("||", ""), "DL4006: a pipe hides failures"
        for install in re.findall(r"pip install [^&]*", command):
            assert "-c constraints.txt" in install, "DL3013"
    if any("pip install" in command for command in stage.texts("RUN")):
        assert stage.environment["PIP_NO_CACHE_DIR"] == "1", "DL3042"


@pytest.mark.promise("O10")
def test_rules_of_the_last_stage() -> None:
    """It runs as nobody in particular, from one program, and says how it is."""
    (user,) = FINAL.texts("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "DL3002, and a number for Kubernetes"
    assert len(FINAL.texts("CMD")) == len(FINAL.texts("ENTRYPOINT")) == 1, "DL4003, DL4004"
    assert exec_form(FINAL.texts("ENTRYPOINT")[0]) == ["telerig"], "DL3025"
    assert exec_form(FINAL.texts("CMD")[0]) == ["serve"]
    (health,) = FINAL.texts("HEALTHCHECK")
    assert exec_form(health.partition("CMD ")[2])[-1] == "server.operation.health", "DL4005"
    (port,) = FINAL.texts("EXPOSE")
    assert port == FINAL.environment["TELERIG_HTTP_PORT"], "DL3011"
    keywords = [keyword for keyword, _ in FINAL.instructions]
    assert keywords.index("USER") > max(i for i, k in enumerate(keywords) if k in ("RUN", "COPY"))
    assert "pip" not in " ".join(FINAL.texts("RUN")), "tools stay in the first stage"
    assert not re.search(r"(SECRET|PASSWORD|TOKEN|KEY)=", DOCKERFILE.read_text(encoding="utf-8"))


def test_what_it_copies_is_there_and_passes_the_ignore_file() -> None:
    """Every source exists; .dockerignore lets exactly those through; packages are all there."""
    sources = [
        word
        for text in BUILD.texts("COPY")
        for word in text.split()[:-1]
        if not word.startswith("--")
    ]
    assert all((ROOT / source).exists() for source in sources)
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line[1:] for line in ignore if line.startswith("!")) == sorted(sources)
    (packages,) = re.findall(r"^packages = \[(.*)\]$", PYPROJECT, re.M)[:1]
    assert set(re.findall(r'"(\w+)"', packages)) <= set(sources)


def test_its_extras_exist() -> None:
    """Each extra that it installs is one of pyproject.toml."""
    known = set(re.findall(r"^(\w+) = \[", PYPROJECT.partition("[project.optional-")[2], re.M))
    assert set(BUILD.environment["EXTRAS"].split(",")) <= known


def test_the_compose_file() -> None:
    """Images are pinned, no port is open to the world, no secret stands in it."""
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    compose = yaml.safe_load(text)
    services = compose["services"]
    for service in services.values():
        assert re.search(r":[\w.-]*\d", service["image"]), service["image"]
        assert not service.get("privileged", False)
    gateway = services["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in gateway["ports"])
    assert gateway["build"]["dockerfile"] == "deploy/Dockerfile"
    assert gateway["depends_on"]["db"]["condition"] == "service_healthy"
    assert gateway["cap_drop"] == ["ALL"]
    assert services["db"]["image"] == services["backup"]["image"], "pg_dump as new as the server"
    assert re.findall(r"(?:PASSWORD|SECRET|TOKEN)\w*: *(\S+)", text) == [
        "${POSTGRES_PASSWORD:?set"
    ] * len(re.findall(r"PASSWORD: ", text))


@pytest.mark.promise("O05")
def test_the_example_environment() -> None:
    """Every variable of .env.example is known, each default is right, and no secret is given."""
    from server.config import parse_config

    text = (ROOT / "deploy" / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.M))
    assert shown["POSTGRES_PASSWORD"] == shown["TELERIG_API_SECRET"] == ""
    for name in shown:
        assert name.startswith("TELERIG_") or name in (
            *("POSTGRES_PASSWORD", "APP_ENV", "FORWARDED_ALLOW_IPS"),
        )
    env = {
        name: value
        for name, value in shown.items()
        if name.startswith("TELERIG_") and "BACKUP" not in name and value
    }
    config = parse_config("", ".env", env)
    assert config.http.tls is not None
    default = parse_config("", "none", {})
    assert (config.http.host, config.http.port) == (default.http.host, default.http.port)
    assert config.database.pool_size == default.database.pool_size
