"""The keeper's parts, in this process; as a process of its own it is tested by test_embedded."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import server.store.keeper as keeper_module
from server.store.embedded import find_installs
from server.store.keeper import Keeper, KeeperError, can_reach, complaint, has_name, major

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
with_name = pytest.mark.skipif(
    not has_name(os.geteuid()), reason="this user has no name, and needs a namespace"
)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder that any user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="tr-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@with_name
def test_a_temporary_server() -> None:
    """A server starts, answers on its socket, and its folder is gone after the stop."""
    keeper = Keeper(find_installs(), None, durable=False, namespaces=False)
    try:
        answer = keeper.start()
        folder = Path(answer["socket_dir"])
        assert (folder / ".s.PGSQL.5432").is_socket()
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        keeper.stop()
    assert not folder.exists()
    keeper.stop()


@with_name
def test_in_memory(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What need not last is in memory, and gone after the stop; without room it is on disk."""
    monkeypatch.setattr(keeper_module, "MEMORY", short_dir)
    for least_bytes, found in ((0, 1), (1 << 60, 0)):
        monkeypatch.setattr(keeper_module, "MEMORY_LEAST_BYTES", least_bytes)
        keeper = Keeper(find_installs(), None, durable=False, namespaces=False)
        try:
            keeper.start()
            assert len(list(short_dir.glob("*/postgres/PG_VERSION"))) == found
        finally:
            keeper.stop()
        assert not list(short_dir.iterdir())


@with_name
def test_a_killed_keeper_leaves_no_memory(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one removes what a killed one left, and nothing that is in use or being made."""
    monkeypatch.setattr(keeper_module, "MEMORY", short_dir)
    monkeypatch.setattr(keeper_module, "MEMORY_LEAST_BYTES", 0)
    orphan, unborn = (short_dir / f"{keeper_module.MEMORY_PREFIX}{name}" for name in "ab")
    for folder in (orphan, unborn):
        folder.mkdir()
    (orphan / "lock").touch()
    (orphan / "much").write_bytes(bytes(1000))
    first = Keeper(find_installs(), None, durable=False, namespaces=False)
    second = Keeper(find_installs(), None, durable=False, namespaces=False)
    try:
        first.start()
        second.start()
        assert not orphan.exists()
        assert unborn.exists()
        assert first.memory is not None
        assert (first.memory / "postgres" / "PG_VERSION").exists()
    finally:
        first.stop()
        second.stop()
    assert list(short_dir.iterdir()) == [unborn]


@with_name
def test_a_lasting_server(short_dir: Path) -> None:
    """A lasting server keeps its data, and starts on it again."""
    for _ in range(2):
        keeper = Keeper(find_installs(), short_dir / "data", durable=False, namespaces=False)
        try:
            keeper.start()
        finally:
            keeper.stop()
    assert (short_dir / "data" / "postgres" / "PG_VERSION").exists()
    assert not (short_dir / "data" / "postgres.new").exists()


def test_a_lock_that_is_held(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another keeper holds is refused after a while."""
    monkeypatch.setattr(keeper_module, "LOCK_WAIT_S", 0.1)
    holder = Keeper([], short_dir, durable=False, namespaces=False)._lock()
    with pytest.raises(KeeperError, match="is in use by another gateway"):
        Keeper([], short_dir, durable=False, namespaces=False)._lock()
    os.close(holder)


def test_waiting_ends_with_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of stdin, another parent, and the end of the server each end the wait."""
    monkeypatch.setattr(keeper_module.signal, "signal", lambda *_: None)
    monkeypatch.setattr(keeper_module.signal, "set_wakeup_fd", lambda *_: -1)
    monkeypatch.setattr(keeper_module, "LOOK_S", 0.01)
    keeper = Keeper([], None, durable=False, namespaces=False)
    stdin, parent = os.pipe()
    waiting = threading.Thread(target=keeper.wait, args=(stdin,))
    waiting.start()
    os.write(parent, b"x")
    waiting.join(0.05)
    assert waiting.is_alive()
    os.close(parent)
    waiting.join(5)
    assert not waiting.is_alive()
    open_stdin, open_parent = os.pipe()
    keeper.server = subprocess.Popen(["true"])
    keeper.wait(open_stdin)
    keeper.server = None
    parents = iter([1, 1, 2])
    monkeypatch.setattr(keeper_module.os, "getppid", lambda: next(parents))
    keeper.wait(open_stdin)
    for descriptor in (stdin, open_stdin, open_parent):
        os.close(descriptor)


def test_complaints() -> None:
    """The first line that names a reason is the reason."""
    assert complaint(["LOG:  hm", "x FATAL:  no room", "PANIC:  all over"]) == "no room"
    assert complaint(["initdb: error: not empty"]) == "not empty"
    assert complaint(["just", " words "]) == "words"
    assert complaint([]) == "it says nothing"


def test_versions() -> None:
    """The major version is what PG_VERSION holds."""
    assert major(find_installs()[0]).isdigit()


@as_root
def test_who_can_enter(short_dir: Path) -> None:
    """A closed folder above is noticed without a look at modes."""
    inner = short_dir / "closed" / "inner"
    inner.mkdir(parents=True)
    assert can_reach(inner, 65534)
    (short_dir / "closed").chmod(0o700)
    assert not can_reach(inner, 65534)
