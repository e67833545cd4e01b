"""Machines of their own: network namespaces, each with two cables to this one.

Over one cable come devices and clients, over the other it reaches database and bus. A cable that is
cut loses what is sent, and tells nobody: as in a real network, and unlike a closed socket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

import pytest

from tests.instances.children import Children, kill


class Machine:
    """A network namespace.

    Args:
        children: who starts the process that keeps it.
        number: 1 to 200, of its addresses.

    Attributes:
        address: at which devices reach it.
        backend: this machine's address, as it sees it: of database and bus.
    """

    def __init__(self, children: Children, number: int = 1) -> None:
        if shutil.which("unshare") is None or shutil.which("ip") is None:
            pytest.skip("the programs unshare and ip are not installed")
        # Tests of other processes lay cables, too.
        net = 64 + os.getpid() % 128
        self.address = f"10.213.{net}.{4 * number + 2}"
        self.backend = f"10.214.{net}.{4 * number + 1}"
        self._front = f"trf{os.getpid() % 1_000_000}n{number}"
        self._back = f"trb{os.getpid() % 1_000_000}n{number}"
        self._keeper = children.start(
            f"machine-{number}", ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 1000"]
        )
        while children.log(f"machine-{number}") != "ready\n":
            if self._keeper.poll() is not None:
                pytest.skip("this user may not make a network namespace")
        self._laid: list[str] = []
        self._inside("ip link set lo up")
        near = f"10.213.{net}.{4 * number + 1}"
        self._lay(self._front, "devices", near, self.address)
        self._lay(self._back, "backend", self.backend, f"10.214.{net}.{4 * number + 2}")

    @property
    def prefix(self) -> list[str]:
        """Words before a command that is to run there."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net"]

    def cut(self) -> None:
        """Cut it off from database, bus and all other gateways."""
        _run(f"ip link set {self._back} down")

    def mend(self) -> None:
        """Undo that."""
        _run(f"ip link set {self._back} up")

    def close(self) -> None:
        """Take the cables away."""
        for cable in self._laid:
            subprocess.run(["ip", "link", "del", cable], capture_output=True, check=False)
        self._laid.clear()
        kill(self._keeper)

    def _lay(self, cable: str, far: str, near_address: str, far_address: str) -> None:
        _run(f"ip link add {cable} type veth peer name {far} netns {self._keeper.pid}")
        self._laid.append(cable)
        _run(f"ip addr add {near_address}/30 dev {cable}")
        _run(f"ip link set {cable} up")
        self._inside(f"ip addr add {far_address}/30 dev {far}")
        self._inside(f"ip link set {far} up")

    def _inside(self, words: str) -> None:
        _run(" ".join([*self.prefix, words]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _run(words: str) -> None:
    done = subprocess.run(words.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not let us lay a cable: {done.stderr.strip()}")
