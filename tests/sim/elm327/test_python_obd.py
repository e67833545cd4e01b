"""python-OBD as the client, over a real pseudo terminal and in wall time."""

from __future__ import annotations

import os
import pty
import select
import threading
import time
import tty
from collections.abc import Callable

import pytest

obd = pytest.importorskip("obd")

LOOK_EVERY_S = 0.005


class PtyPump:
    """Carries bytes between a PTY and the bench, and runs the bench's clock in wall time.

    `unpaced` lets virtual time jump while the adapter owes an answer; it then stands still while
    the host thinks.
    """

    def __init__(self, bench, *, unpaced: bool) -> None:
        self.bench = bench
        self.unpaced = unpaced
        self.master, self._slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        bench.line.attach_host(lambda data: os.write(self.master, data))

    def run_while(self, alive: Callable[[], bool], limit_s: float) -> None:
        """Serve the PTY until `alive()` is False; fail after `limit_s` seconds."""
        start_s = time.monotonic()
        while alive():
            assert time.monotonic() - start_s < limit_s, "python-OBD hangs"
            if select.select([self.master], [], [], LOOK_EVERY_S)[0]:
                self.bench.line.feed(os.read(self.master, 4096))
            if self.unpaced:
                self._run_until_answered()
            else:
                self.bench.env.run(max(time.monotonic() - start_s, self.bench.env.now + 1e-6))

    def _run_until_answered(self) -> None:
        env = self.bench.env
        horizon_s = env.now
        while env.peek() <= horizon_s or self.bench.adapter.busy:
            env.step()
            horizon_s = max(horizon_s, env.now)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.master)
        os.close(self._slave)


def drive(bench, client, *, unpaced: bool, limit_s: float = 20.0):
    """Run `client(path)` in a thread against the bench; return what it returns."""
    pump = PtyPump(bench, unpaced=unpaced)
    outcome: list[object] = []
    thread = threading.Thread(target=lambda: outcome.append(client(pump.path)), daemon=True)
    thread.start()
    try:
        pump.run_while(thread.is_alive, limit_s)
    finally:
        thread.join(1.0)
        pump.close()
    assert outcome, "the client raised an exception"
    return outcome[0]


def connect(path, **options):
    """Open the port as a user of python-OBD does."""
    obd.logger.setLevel("ERROR")
    return obd.OBD(path, baudrate=38400, protocol="6", timeout=2, **options)


def test_it_connects_and_reads(make_bench):
    """python-OBD connects, finds the supported PIDs and reads RPM and speed, also by repeat."""

    def client(path):
        connection = connect(path)
        values = [
            connection.status(),
            sorted(ecu for ecu in (c.command for c in connection.supported_commands) if ecu),
        ]
        for command in (obd.commands.RPM, obd.commands.SPEED, obd.commands.RPM, obd.commands.RPM):
            values.append(connection.query(command).value.magnitude)
        values.append(connection.query(obd.commands.VIN, force=True).value)
        connection.close()
        return values

    status, commands, *values, vin = drive(make_bench("stn_fast"), client, unpaced=False)
    assert status == obd.OBDStatus.CAR_CONNECTED
    assert b"010C" in commands
    assert values == [1726.0, 50.0, 1726.0, 1726.0]
    # python-OBD strips the characters 0, 1, 2, x and the backslash off both ends of a VIN.
    assert bytes(vin) == b"D4GP00R55B123456"


def test_it_reads_two_ecus(make_bench):
    """Two ECUs answer the functional 0100; python-OBD's frame count makes it wait for both."""

    def client(path):
        connection = connect(path)
        values = [connection.query(obd.commands.RPM).value.magnitude for _ in range(5)]
        connection.close()
        return values

    bench = make_bench("elm327_v15", ecus=2, paced=False)
    assert drive(bench, client, unpaced=True) == [1726.0] * 5


def test_silent_car_is_not_connected(make_bench):
    """With no ECU python-OBD reports that the adapter is there and the car is not."""

    def client(path):
        connection = obd.OBD(path, baudrate=38400, timeout=2)
        status = connection.status()
        connection.close()
        return status

    bench = make_bench("elm327_v15", ecus=0, paced=False)
    assert drive(bench, client, unpaced=True) != obd.OBDStatus.CAR_CONNECTED


def test_clone_is_usable(make_bench):
    """python-OBD waits for the prompt, so the clone's split prompt does no harm."""

    def client(path):
        connection = connect(path, fast=False)
        values = [connection.query(obd.commands.RPM).value.magnitude for _ in range(2)]
        connection.close()
        return values

    assert drive(make_bench("clone_v21", paced=False), client, unpaced=True) == [1726.0] * 2
