"""What the adapter says when the CAN bus has errors (ELM327DSJ p.87: CAN ERROR)."""

from __future__ import annotations

from typing import Any

from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame

REPLY = "41 0C 1A F8 \r\r>"


def ready(bench: Any) -> None:
    """Connected, without echo."""
    bench.setup("ATE0", "AT TP 6")


def silence(bench: Any) -> None:
    """Let every node but the adapter's listen only."""
    for node in bench.bus.nodes:
        if node.name != "elm327":
            node.set_listen_only(True)


def test_nodes_that_only_listen_do_not_acknowledge(bench: Any) -> None:
    """A bus on which nobody acknowledges is as good as none: CAN ERROR."""
    ready(bench)
    silence(bench)
    assert bench.ask("010C") == "CAN ERROR\r\r>"


def test_request_that_does_not_get_through_is_a_can_error(bench: Any) -> None:
    """Errors on every attempt until AT ST runs out: CAN ERROR, and the frame is given up."""
    ready(bench)
    bench.bus.faults.append(lambda *_: ErrorKind.ACK)
    began_s = bench.env.now
    assert bench.ask("010C") == "CAN ERROR\r\r>"
    assert bench.env.now - began_s >= 0.2
    bench.bus.faults.clear()
    seen = bench.bus.frame_count
    bench.wait(1.0)
    assert bench.bus.frame_count == seen


def test_bus_without_a_gap_is_busy(bench: Any) -> None:
    """Frames of a higher priority without a pause: BUS BUSY when AT ST runs out."""
    ready(bench)
    flood = bench.bus.attach("flood", lambda _frame, _t_s: None)

    def again(_t_s: float) -> None:
        flood.send(CanFrame(0), again)

    again(0.0)
    again(0.0)
    assert bench.ask("010C") == "BUS BUSY\r\r>"


def test_errors_that_pass_are_not_seen(bench: Any) -> None:
    """The controller repeats by itself: a few errors cost a millisecond and no line."""
    ready(bench)
    left = [ErrorKind.BIT, ErrorKind.STUFF, ErrorKind.CRC]
    bench.bus.faults.append(lambda *_: left.pop() if left else None)
    assert bench.ask("010C1") == REPLY
    assert left == []


def test_error_counts_are_those_of_the_controller(bench: Any) -> None:
    """AT CS: 8 for each attempt that failed, 1 off for the one that passed."""
    ready(bench)
    left = [ErrorKind.BIT] * 3
    bench.bus.faults.append(lambda *_: left.pop() if left else None)
    assert bench.ask("010C1") == REPLY
    assert bench.ask("ATCS") == "T:17 R:00\r\r>"


def test_controller_that_is_bus_off_starts_again(bench: Any) -> None:
    """Bit errors drive it off: CAN ERROR; the next request restarts it, the one after works."""
    ready(bench)
    bench.bus.faults.append(lambda _t_s, who, _f: ErrorKind.BIT if who == "elm327" else None)
    assert bench.ask("010C") == "CAN ERROR\r\r>"
    bench.bus.faults.clear()
    adapter = next(node for node in bench.bus.nodes if node.name == "elm327")
    assert adapter.state is ErrorState.BUS_OFF
    assert bench.ask("ATCS") == "T:OFF R:00\r\r>"
    assert bench.ask("010C") == "CAN ERROR\r\r>"
    assert bench.ask("010C1") == REPLY


def test_search_on_a_disturbed_bus_connects_to_nothing(bench: Any) -> None:
    """While it searches there is no CAN ERROR, and no probe stays behind."""
    bench.setup("ATE0", "AT SP 0")
    bench.bus.faults.append(lambda *_: ErrorKind.FORM)
    assert bench.ask("0100").endswith("UNABLE TO CONNECT\r\r>")
    bench.bus.faults.clear()
    seen = bench.bus.frame_count
    bench.wait(1.0)
    assert bench.bus.frame_count == seen


def test_silent_monitoring_acknowledges_nothing(bench: Any) -> None:
    """A lone sender finds no acknowledge while AT MA runs, unless AT CSM0 (CSM1 is the default)."""
    ready(bench)
    for ecu in bench.ecus:
        ecu.node.detach()
    bench.line.feed(b"AT MA\r")
    bench.wait(0.05)
    bench.car.send(CanFrame(0x123, b"\x01"))
    bench.wait(0.05)
    assert bench.bus.error_count > 0
    assert b"01" not in bench.heard
    assert "STOPPED" in bench.type("x")
    bench.wait(0.01)
    assert bench.car.pending_frames == 0  # the prompt is back: it acknowledges again
    bench.setup("AT CSM 0")
    bench.writes.clear()
    bench.line.feed(b"AT MA\r")
    bench.wait(0.05)
    bench.car.send(CanFrame(0x123, b"\x55"))
    bench.wait(0.05)
    assert b"55" in bench.heard
