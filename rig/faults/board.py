"""Faults of the ESP32 boards: no Wi-Fi, a weak one, a lossy one, a reset, a full flash."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def wifi_outage(strike: Strike) -> End:
    """Take every Wi-Fi network away from all boards."""
    change = strike.ability("fleet", "wifi_out")
    return strike.hold(lambda: change(True), lambda: change(False))


def wifi_loss(strike: Strike) -> End:
    """Lose so many of the boards' requests, and of the answers to them."""
    change = strike.ability("fleet", "wifi_loss")
    loss = strike.fault.number("probability_pct") / 100.0
    change(loss)
    return lambda: change(-loss)


def wifi_fade(strike: Strike) -> End:
    """Weaken every Wi-Fi network: slower, lossy, in the end not heard at all."""
    change = strike.ability("fleet", "wifi_fade")
    fade_db = strike.fault.number("by_db")
    change(fade_db)
    return lambda: change(-fade_db)


def board_reset(strike: Strike) -> None:
    """Reset every board at this instant: RAM is gone, flash and settings stay."""
    strike.ability("fleet", "reset")(strike.fault.word("reason"))


def flash_full(strike: Strike) -> End:
    """Let the boards' flash take no more: writes and erases fail, as of a worn or protected chip.

    `esp_partition_write` returns an error then, and MicroPython raises OSError. What is on it can
    be read.
    """
    refuse = strike.ability("fleet", "refuse_writes")
    return strike.hold(lambda: refuse(True), lambda: refuse(False))
