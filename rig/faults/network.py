"""Faults of an IP network: lost segments, latency, a partition, a narrow way, a peer that is gone.

On a link over TCP they strike every connection to the link's device, there or to come; on boards
with Wi-Fi the way from their access point to the gateway. TCP delivers what was sent, so what
arrives is late and never wrong; `sim.network` says how late.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from rig.faults.strike import End, Strike
from sim.network import Impairment, next_retransmission_s, retransmissions_s
from sim.serial_line import Fault, SerialLine

Pieces = list[tuple[float, bytes]]
Later = Callable[[int], float]
"""How much later so many bytes come, in seconds."""
BOARDS = "esp32"


def _late(strike: Strike, to_host_s: Later, to_device_s: Later) -> End:
    """Let what passes come later; a connection keeps the order of what is sent on it."""
    line = strike.line
    ends: list[Callable[[], None]] = []
    for direction, later_s in ((line.to_host, to_host_s), (line.to_device, to_device_s)):

        def late(data: bytes, later_s: Later = later_s) -> Pieces:
            return [(later_s(len(data)), data)]

        direction.faults.append(late)
        ends.append(partial(_remove, late, direction.faults))

    def end() -> None:
        for one in ends:
            one()

    return end


def _remove(fault: Fault, faults: list[Fault]) -> None:
    faults[:] = [other for other in faults if other is not fault]


def _impair(strike: Strike, impairment: Impairment) -> End:
    end: End = strike.ability("fleet", "impair")(impairment)
    return end


def net_loss(strike: Strike) -> End:
    """Lose IP packets of both ways with the given probability; TCP sends them again, later.

    A segment waits for the retransmission timeout: 0.2 s at the least with Linux, 1.5 s on an
    ESP32 (lwIP), and twice as long each further time.
    """
    impairment = Impairment(strike.rng, loss=strike.fault.number("probability_pct") / 100.0)
    if strike.fault.link == BOARDS:
        return _impair(strike, impairment)

    def later_s(size: int) -> float:
        lossy_for_s = strike.end_s - strike.env.now
        return retransmissions_s(lambda: impairment.loses(size), lossy_for_s=lossy_for_s)

    return _late(strike, later_s, later_s)


def net_latency(strike: Strike) -> End:
    """Let each way through the network take longer, by a fixed time and a random one."""
    impairment = Impairment(
        strike.rng,
        latency_s=strike.fault.number("time_s"),
        jitter_s=strike.fault.number("jitter_s"),
    )
    if strike.fault.link == BOARDS:
        return _impair(strike, impairment)
    return _late(strike, impairment.delay_s, impairment.delay_s)


def net_slow(strike: Strike) -> End:
    """Let the network carry no more than so many bytes a second, each way."""
    rate_bytes_per_s = strike.fault.number("rate_bytes_per_s")
    impairment = Impairment(strike.rng, rate_bytes_per_s=rate_bytes_per_s)
    if strike.fault.link == BOARDS:
        return _impair(strike, impairment)

    def narrow() -> Later:
        free_s = 0.0

        def later_s(size: int) -> float:
            nonlocal free_s
            now_s = strike.env.now
            free_s = max(free_s, now_s) + size / rate_bytes_per_s
            # What is still queued at the end leaves at once then.
            return min(free_s, max(strike.end_s, now_s)) - now_s

        return later_s

    return _late(strike, narrow(), narrow())


def net_partition(strike: Strike) -> End:
    """Let nothing through the network, and no new connection; TCP sends again what was lost.

    A connection lives on: what was sent arrives with the first retransmission after the end.
    """
    if strike.fault.link == BOARDS:
        return _impair(strike, Impairment(strike.rng, is_cut=True))
    began_s = strike.env.now

    def later_s(_size: int) -> float:
        return next_retransmission_s(began_s, strike.end_s) - strike.env.now

    end_late = _late(strike, later_s, later_s)
    line = strike.line
    line.unreachable += 1
    for connection in line.connections:
        _notice(strike, connection)

    def end() -> None:
        line.unreachable -= 1
        end_late()

    return end


def half_open(strike: Strike) -> End:
    """Let the other end be gone without a word: writes vanish, nothing comes, nobody hangs up.

    On a serial port: a hung USB bridge, an adapter whose Bluetooth is out of range, a port server
    whose far side has died; it lives on at the end. Over TCP: the peer's network stack has
    restarted, or a router between has forgotten the connection, so no FIN comes; new ones fail,
    and when it is back it answers what it does not know with a reset (RFC 9293, 3.5.1).
    """
    line = strike.line
    swallow = _Swallow()
    began_s = strike.env.now
    line.to_host.faults.append(swallow)
    line.to_device.faults.append(swallow)
    line.unreachable += 1
    for connection in line.connections:
        _notice(strike, connection)

    def end() -> None:
        line.unreachable -= 1
        for direction in (line.to_host, line.to_device):
            faults = direction.faults
            faults[:] = [fault for fault in faults if fault is not swallow]
        for connection in line.connections:
            _forget(strike, connection, began_s)

    return end


class _Swallow:
    """Takes everything and gives nothing."""

    def __call__(self, data: bytes) -> Pieces:
        return []


def _notice(strike: Strike, connection: SerialLine) -> None:
    """Let the client's TCP break a connection whose peer answers none of its probes."""
    if connection.keep_alive is not None:
        gives_up_s = strike.env.now + connection.keep_alive.gives_up_s
        if gives_up_s < strike.end_s:
            _hang_up_at(strike, connection, gives_up_s)


def _hang_up_at(strike: Strike, connection: SerialLine, at_s: float) -> None:
    event = strike.env.timeout(at_s - strike.env.now)
    event.callbacks.append(lambda _event: connection.hang_up())


def _forget(strike: Strike, connection: SerialLine, last_byte_s: float) -> None:
    """Let the peer know nothing of a connection: it says nothing more, and resets it when asked.

    The client asks when it writes, and when its TCP probes.
    """
    if connection.hung_up:
        return
    now_s, keep_alive = strike.env.now, connection.keep_alive
    probe_s = now_s if keep_alive is None else keep_alive.next_probe_s(last_byte_s, now_s)
    if probe_s < math.inf:
        _hang_up_at(strike, connection, probe_s)

    def reset(data: bytes) -> Pieces:
        connection.hang_up()
        return []

    connection.to_host.faults = [_Swallow()]
    connection.to_device.faults = [reset]
