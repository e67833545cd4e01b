"""The discovery beacon: python-can finds the daemon by itself."""

from __future__ import annotations

import socket
import threading

import pytest

pytest.importorskip("can", reason="the package python-can (extra can) is not installed")

from can.interfaces.socketcand import socketcand as client

from rig.walltime.can_beacon import CanBeacon
from rig.walltime.clock import WallClock


def test_python_can_finds_the_buses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bus of the daemon, with host and port; after the end there is silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(client, "DEFAULT_SOCKETCAND_DISCOVERY_PORT", port)
    clock = WallClock(pace=20.0)
    beacon = CanBeacon(clock, 29536, ["can0", "can<1>"], to_port=port)
    beacon.open()
    world = threading.Thread(target=clock.run)
    world.start()
    try:
        found = client.detect_beacon(5000)
    finally:
        clock.stop()
        world.join()
        beacon.close()
        beacon.close()
    assert found == [
        {"interface": "socketcand", "host": "127.0.0.1", "port": 29536, "channel": bus}
        for bus in ("can0", "can<1>")
    ]
    clock.stopped = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", port))
        listener.settimeout(0.2)
        clock.run(until_s=clock.env.now + 5)
        with pytest.raises(TimeoutError):
            listener.recv(100)
