"""The machine: its disk, its clock, how many files a process may open."""

from __future__ import annotations

import ctypes
import resource
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from server.commands import default_data_dir
from server.operation.checks.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from server.config import GatewayConfig

DISK_FAIL_BYTES, DISK_WARN_BYTES = 500_000_000, 5_000_000_000
CLOCK_EARLIEST_S = 1_735_689_600  # 2025: a board without a battery wakes up long before
FILES_BESIDE = 100
"""What a gateway has open beside its connections, at most."""


def disk(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the room for an embedded database."""
    if config.database.url is not None or not config.database.enabled:
        return
    folder = (config.database.data_dir or default_data_dir(env)).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < DISK_WARN_BYTES:
        state = FAIL if free < DISK_FAIL_BYTES else WARN
        advice = "make room, shorten [store] retention, or move data_dir; a full disk stops storing"
        yield Finding("disk", state, found, advice)
    else:
        yield Finding("disk", OK, found)


def clock(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether the machine knows what time it is."""
    if time.time() < CLOCK_EARLIEST_S:
        date = time.strftime("%Y-%m-%d", time.gmtime())
        yield Finding("clock", FAIL, f"it is {date}", "set it: timedatectl set-ntp true")
        return
    buffer = ctypes.create_string_buffer(512)  # struct timex has some 208 bytes
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(buffer)
    if state < 0:
        yield Finding("clock", WARN, "the kernel does not tell whether it is synchronised")
    elif state == 5:  # TIME_ERROR
        advice = "timedatectl set-ntp true, or install chrony; devices' readings are judged by it"
        yield Finding("clock", WARN, "not synchronised with the world's time", advice)
    else:
        estimate_us = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_long))[4]
        yield Finding("clock", OK, f"synchronised, error about {estimate_us / 1e6:.3g} s")


def files(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether as many connections can be open as the configuration allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.http.connections
    needed = wanted + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        found = f"{soft}, which allows {max(1, soft - FILES_BESIDE)} connections of {wanted}"
        yield Finding("file limit", WARN, found, f"ulimit -n {needed}, or LimitNOFILE={needed}")
    else:
        yield Finding("file limit", OK, str(soft))
