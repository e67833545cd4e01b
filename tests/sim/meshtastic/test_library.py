"""What befalls the unmodified library when a radio fails it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from meshtastic.serial_interface import SerialInterface
from pubsub import pub

from tests.sim.meshtastic.live import LiveGroup, until


@pytest.fixture(scope="module")
def live() -> Iterator[LiveGroup]:
    """Two radios."""
    live = LiveGroup(radios=2, preset="SHORT_TURBO", region="US")
    yield live
    live.close()


@pytest.fixture(scope="module")
def iface(live: LiveGroup) -> Iterator[Any]:
    """The library on the first radio's port."""
    iface = SerialInterface(live.serial[0], timeout=10)
    yield iface
    iface.close()


def test_a_reboot_ends_and_renews_the_connection(live: LiveGroup, iface: Any) -> None:
    """`rebooted` makes the library say lost, and established after a new handshake."""
    said: list[str] = []

    def lost(interface: Any) -> None:
        said.append("lost")

    def established(interface: Any) -> None:
        said.append("established")

    pub.subscribe(lost, "meshtastic.connection.lost")
    pub.subscribe(established, "meshtastic.connection.established")
    live.do(live.radio.reboot)
    until(lambda: said[-2:] == ["lost", "established"])
    assert iface.myInfo.reboot_count == 1


def test_log_text_is_published(live: LiveGroup, iface: Any) -> None:
    """Lines between the frames come as topic meshtastic.log.line."""
    lines: list[str] = []

    def on_line(line: str, interface: Any) -> None:
        lines.append(line)

    pub.subscribe(on_line, "meshtastic.log.line")
    iface.sendData(b"x")
    until(lambda: any("[Router] enqueue for send" in line for line in lines))


def test_a_packet_reaches_a_subscriber(live: LiveGroup, iface: Any) -> None:
    """On the topic of its port, with the radio's metadata."""
    got: list[dict[str, Any]] = []

    def on_receive(packet: dict[str, Any], interface: Any) -> None:
        got.append(packet)

    pub.subscribe(on_receive, "meshtastic.receive.data.PRIVATE_APP")
    other = live.group.radios[1]
    live.do(lambda: other.send(other.new_packet(256, b"\x01\x02")))
    packet = until(lambda: got)[0]
    assert packet["fromId"] == "!7e1e0002"
    assert packet["decoded"]["payload"] == b"\x01\x02"
    assert packet["rxSnr"] > 0
    assert packet["hopStart"] == 3


def test_a_frozen_radio_fills_its_clients_buffers(live: LiveGroup) -> None:
    """Writes to the port do not end any more; thawed it takes all that was written."""
    radio = live.group.radios[1]
    live.do(radio.freeze)
    port = os.open(live.serial[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    written = 0
    try:
        while True:
            try:
                written += os.write(port, b"\0" * 512)
            except BlockingIOError:
                break
            assert written < 1_000_000, "expected a radio that takes nothing"
        live.do(lambda: radio.freeze(False))
        until(lambda: radio.line.to_device.sent_bytes >= written, "all bytes")
    finally:
        os.close(port)


def test_a_short_lived_clients_last_words_are_heard(live: LiveGroup) -> None:
    """A client that writes and closes at once: the bytes wait in the kernel."""
    radio = live.group.radios[1]
    before = radio.counters["malformed"]
    for _ in range(5):
        port = os.open(live.serial[1], os.O_RDWR | os.O_NOCTTY)
        os.write(port, b"\x94\xc3\x00\x03\xff\xff\xff")
        os.close(port)
    until(lambda: radio.counters["malformed"] == before + 5)
