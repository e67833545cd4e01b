"""The commands of deploy/Dockerfile, run as they stand in a clean folder, without Docker.

Its first stage is done in an empty folder with only what COPY brings; /opt/telerig is a folder of
this run. The user of its second stage is made in a mount namespace with a copy of /etc (as root).
Then ENTRYPOINT and CMD run with the image's variables until HEALTHCHECK says that all is well, and
are stopped as Docker stops them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.soak import rss_mb
from tests.deploy.dockerfile import Stage, exec_form, fill, read_dockerfile

ROOT = Path(__file__).parents[2]
PLACE = "/opt/telerig"
HEALTHY_WAIT_S = 60.0
OWN = ("TELERIG_DATABASE_DATA_DIR", "TELERIG_HTTP_PORT")
"""Variables that get values of this run: a folder and a port that are free here."""
IN_COPY = """
set -e
mkdir {folder}/etc {folder}/lib
cp -a /etc/. {folder}/etc
mount --bind {folder}/etc /etc
mount --bind {folder}/lib /var/lib
{command}
id -u telerig
stat -c %a:%u /var/lib/telerig
"""


def measure(quick: bool) -> list[Row]:
    """Build, start, look, stop."""
    _, (build, final) = read_dockerfile(ROOT / "deploy" / "Dockerfile")
    with tempfile.TemporaryDirectory(prefix="image-") as text:
        folder = Path(text)
        began_s = time.monotonic()
        _build(build, folder)
        built_s = time.monotonic() - began_s
        size_mb = sum(f.stat().st_size for f in (folder / "opt").rglob("*") if f.is_file()) / 1e6
        _user(final, folder)
        healthy_s, memory_mb, ended_s = _run(final, folder)
    return [
        Row("first stage", [built_s], "s"),
        Row("/opt/telerig", [size_mb], "MB"),
        Row("from start to healthy, with its database made", [healthy_s], "s"),
        Row("memory when healthy", [memory_mb], "MB", Goal(most=70.0)),
        Row("from SIGTERM to the end, exit code 0", [ended_s], "s", Goal(most=10.0)),
    ]


def _build(stage: Stage, folder: Path) -> None:
    source = folder / "src"
    source.mkdir()
    for keyword, text in stage.instructions:
        if keyword == "COPY":
            *names, target = text.split()
            for name in names:
                _copy(ROOT / name, source / target / Path(name).name if target == "./"
                      else source / target)  # fmt: skip
        elif keyword == "RUN":
            command = fill(text, stage.environment).replace(PLACE, str(folder / "opt"))
            env = {**os.environ, **stage.environment}
            env["PATH"] = f"{_base_python().parent}:{env['PATH']}"
            subprocess.run(["/bin/sh", "-ec", command], cwd=source, env=env, check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip


def _base_python() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _user(stage: Stage, folder: Path) -> None:
    """Make the user as the image does, and see that it and its folder are right."""
    if os.geteuid() != 0:
        print("the user of the image was not made: needs root", file=sys.stderr)
        return
    (command,) = stage.texts("RUN")
    copy = folder / "copy"
    copy.mkdir()
    script = IN_COPY.format(folder=copy, command=command)
    done = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script], capture_output=True, text=True, check=True
    )
    (user,) = stage.texts("USER")
    uid = user.partition(":")[0]
    assert done.stdout.split() == [uid, f"700:{uid}"], done.stdout


def _run(stage: Stage, folder: Path) -> tuple[float, float, float]:
    environment = {
        name: value.replace(PLACE, str(folder / "opt")) for name, value in stage.environment.items()
    }
    environment |= {"TELERIG_DATABASE_DATA_DIR": str(folder / "state"), "HOME": str(folder)}
    environment["TELERIG_HTTP_PORT"] = "18743"
    (health,) = stage.texts("HEALTHCHECK")
    check = exec_form(health.partition("CMD ")[2])
    command = [word for text in ("ENTRYPOINT", "CMD") for word in exec_form(stage.texts(text)[0])]
    began_s = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(folder / "opt" / "bin" / command[0]), *command[1:]],
            env=environment, cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        while True:
            found = shutil.which(check[0], path=environment["PATH"]) or check[0]
            answer = subprocess.run(
                [found, *check[1:]], env=environment, cwd=folder, capture_output=True, check=False
            )
            if answer.returncode == 0:
                break
            if process.poll() is not None or time.monotonic() - began_s > HEALTHY_WAIT_S:
                told = (folder / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"never healthy: {answer.stdout!r}; its log: {told[-2000:]}")
            time.sleep(0.1)
        healthy_s = time.monotonic() - began_s
        memory_mb = rss_mb(process.pid)
    finally:
        ended_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    if code != 0:
        raise RuntimeError(f"expected exit code 0, found {code}")
    return healthy_s, memory_mb, time.monotonic() - ended_s
