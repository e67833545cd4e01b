"""The supervised logger process (E36, E37, D17): real processes, well and badly behaved."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from server.clock import SystemClock
from server.compat.config import LoggerConfig
from server.compat.logger import LINES_PER_S, Logger, LoggerState
from server.errors import LoggerError

Said = list[tuple[str, str]]
Make = Callable[..., Logger]


@pytest.fixture
def said() -> Said:
    """Level and text of everything that was told."""
    return []


@pytest.fixture
async def make(said: Said) -> AsyncIterator[Make]:
    """Make loggers that run a piece of Python, or a command."""
    made: list[Logger] = []

    def logger(code: str = "", **options: Any) -> Logger:
        command = options.pop("command", (sys.executable, "-u", "-c", code))
        config = LoggerConfig(command, **{"stop_timeout_s": 5.0, **options})
        made.append(Logger(config, SystemClock(), lambda level, text: said.append((level, text))))
        return made[-1]

    yield logger
    for one in made:
        await one.stop()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    """Tell whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(pid: int) -> int:
    """Give the process that has started a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def number_said(said: Said) -> int:
    """Give the process id that the process has written."""
    return next(int(text) for _, text in said if text.isdigit())


WAIT = "import time; print('ready', flush=True); time.sleep(600)"


async def test_start_and_stop(make: Make, said: Said) -> None:
    """It is started once, its lines are told, and it is gone after the stop."""
    logger = make(WAIT)
    assert logger.status.state is LoggerState.STOPPED
    assert await logger.start()
    assert not await logger.start()
    await until(lambda: ("info", "ready") in said)
    pid = logger.status.pid
    assert pid is not None
    assert lives(pid)
    assert await logger.stop()
    assert not lives(pid)
    assert not await logger.stop()
    assert logger.status.state is LoggerState.STOPPED
    assert [text for _, text in said] == [f"logger started, pid {pid}", "ready", "logger stopped"]


async def test_standard_error_and_output_are_captured(make: Make, said: Said) -> None:
    """Both come, without control characters, the last line without a newline too."""
    logger = make("import sys; sys.stderr.write('err\\x1b[2J\\n'); print('out', end='')")
    await logger.start()
    await until(lambda: logger.status.state is LoggerState.ENDED)
    assert {text for _, text in said[1:-1]} == {"err�[2J", "out"}
    assert said[-1] == ("info", "logger ended with exit code 0")


@pytest.mark.parametrize(
    ("code", "exit_code", "text"),
    [
        ("raise SystemExit(3)", 3, "logger ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 11)", -11, "logger ended by signal 11"),
    ],
)
async def test_it_dies(make: Make, said: Said, code: str, exit_code: int, text: str) -> None:
    """An end by itself is told as a warning, and it can be started again."""
    logger = make(code)
    await logger.start()
    await until(lambda: logger.status.state is LoggerState.ENDED)
    assert (logger.status.exit_code, logger.status.pid) == (exit_code, None)
    assert said[-1] == ("warning", text)
    assert await logger.start()


async def test_it_is_started_again(make: Make, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is wanted, a logger that has died comes back, until it is stopped."""
    monkeypatch.setattr("server.compat.logger.RESTART_FIRST_S", 0.01)
    logger = make("print('once')", restart=True)
    await logger.start()
    await until(lambda: [text for _, text in said].count("once") >= 3)
    await logger.stop()
    count = len(said)
    await asyncio.sleep(0.2)
    assert len(said) == count


async def test_it_ignores_sigterm(make: Make, said: Said) -> None:
    """A logger that does not listen is killed after its time-out."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAIT
    logger = make(code, stop_timeout_s=0.2)
    await logger.start()
    await until(lambda: ("info", "ready") in said)
    pid = logger.status.pid
    assert pid is not None
    await asyncio.wait_for(logger.stop(), 10)
    assert not lives(pid)


async def test_a_polite_end_has_its_time(make: Make, said: Said, tmp_path: Path) -> None:
    """SIGTERM comes first, so that a logger can put its things in order."""
    mark = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(mark)!r}, 'w').write('done'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    )
    logger = make(code)
    await logger.start()
    await until(lambda: ("info", "ready") in said)
    await logger.stop()
    assert mark.read_text() == "done"


GROUP = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    print(pid, flush=True)  # before the command ends, and with it everything
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("code", [GROUP, DAEMON], ids=["child", "daemon"])
@pytest.mark.parametrize("ends", [True, False], ids=["ends itself", "is stopped"])
async def test_what_it_has_started_goes_with_it(
    make: Make, said: Said, code: str, ends: bool
) -> None:
    """Children, and children that made themselves daemons, do not outlive it."""
    logger = make(code + ("" if ends else "\ntime.sleep(600)"))
    await logger.start()
    await until(lambda: any(text.isdigit() for _, text in said))
    pid = number_said(said)
    if ends:
        await until(lambda: logger.status.state is LoggerState.ENDED)
    else:
        await logger.stop()
    assert not lives(pid)


async def test_it_floods(make: Make, said: Said) -> None:
    """A flood is cut to some lines a second and counted, the loop lives, a stop works."""
    logger = make("while True: print('x' * 100)", stop_timeout_s=1.0)
    await logger.start()
    await until(lambda: logger.status.dropped_lines > 1000)
    told = len(said)
    assert told <= 3 * LINES_PER_S + 1
    await asyncio.wait_for(logger.stop(), 10)
    assert logger.status.lines >= logger.status.dropped_lines


async def test_a_line_without_end(make: Make, said: Said) -> None:
    """A line that never ends takes no memory and is told in pieces."""
    logger = make("import sys\nfor _ in range(50): sys.stdout.write('y' * 10_000)")
    await logger.start()
    await until(lambda: logger.status.state is LoggerState.ENDED)
    assert len(said) > 2
    assert max(len(text) for _, text in said) <= 500


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((), "command, found none"),
        (("/no/such/program",), "/no/such/program: no such file or directory"),
        (("/etc/passwd",), "/etc/passwd: permission denied"),
        (("nul\0",), "null byte"),
    ],
)
async def test_it_cannot_be_started(make: Make, command: tuple[str, ...], message: str) -> None:
    """The reason is one line, and the state stays."""
    logger = make(command=command)
    with pytest.raises(LoggerError, match=message):
        await logger.start()
    assert logger.status.state is LoggerState.STOPPED


async def test_no_shell_sees_the_command(make: Make, said: Said, tmp_path: Path) -> None:
    """What a shell would run is an argument like any other."""
    mark = tmp_path / "mark"
    code = "import sys; print(sys.argv[1])"
    argument = f"$(touch {mark}); touch {mark} #"
    logger = make(command=(sys.executable, "-c", code, argument))
    await logger.start()
    await until(lambda: logger.status.state is LoggerState.ENDED)
    assert ("info", argument) in said
    assert not mark.exists()


async def test_its_keeper_is_killed(make: Make, said: Said) -> None:
    """When the keeper dies, the kernel ends the process, and the state says so."""
    logger = make(WAIT)
    await logger.start()
    await until(lambda: ("info", "ready") in said)
    pid = logger.status.pid
    assert pid is not None
    os.kill(parent_of(pid), signal.SIGKILL)
    await until(lambda: logger.status.state is LoggerState.ENDED)
    assert said[-1] == ("warning", "logger ended with its keeper")
    await until(lambda: not lives(pid))


PARENT = """
import asyncio, sys
from server.clock import SystemClock
from server.compat.config import LoggerConfig
from server.compat.logger import Logger

async def main():
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    logger = Logger(LoggerConfig(command), SystemClock(), lambda level, text: None)
    await logger.start()
    print(f"pid={logger.status.pid}", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_gateway_is_killed() -> None:
    """A logger does not outlive a gateway that had no chance to stop it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    line = b""
    async with asyncio.timeout(20):
        while not line.startswith(b"pid="):
            line = await process.stdout.readline()
    pid = int(line.removeprefix(b"pid="))
    assert lives(pid)
    process.kill()
    await process.wait()
    with contextlib.suppress(TimeoutError):
        await until(lambda: not lives(pid))
    assert not lives(pid)
