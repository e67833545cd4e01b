"""Every PID of the catalogue: the same value as python-OBD's, within the catalogue's range."""

from __future__ import annotations

import random

import pytest

from server.catalogue import CATALOGUE, Signal
from server.obd.backend import pid_of
from server.obd.can.formulas import FORMULAS
from server.obd.elm.adapter import _PINT_UNITS, library

SIGNALS = [signal for signal in CATALOGUE if signal.source.startswith("obd:01")]

EVAP_ERROR_PA = 64.0
"""python-OBD 0.7.3 takes each of the two bytes for a signed one (`evap_pressure`)."""


def samples(n_bytes: int) -> list[bytes]:
    """The ends, the middle and some others."""
    rng = random.Random(n_bytes)
    fixed = [bytes([b] * n_bytes) for b in (0x00, 0x7F, 0x80, 0xFF)]
    return [*fixed, *(rng.randbytes(n_bytes) for _ in range(40))]


def test_every_pid_of_the_catalogue_has_a_formula() -> None:
    """What can be planned can be asked over CAN."""
    assert {pid_of(signal) for signal in SIGNALS} == FORMULAS.keys()


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_formula_agrees_with_python_obd(signal: Signal) -> None:
    """The other back end decodes with python-OBD: no value may depend on the way to the car."""
    pytest.importorskip("obd", reason="python-OBD (extra obd) is not installed")
    from obd.protocols import ECU
    from obd.protocols.protocol import Frame, Message

    command = library().commands[1][pid_of(signal)]
    formula = FORMULAS[pid_of(signal)]
    assert formula.n_bytes == command.bytes - 2
    for data in samples(formula.n_bytes):
        message = Message([Frame("")])
        message.ecu = ECU.ENGINE
        message.data = bytearray((0x41, command.pid)) + data
        expected = command([message]).value.to(_PINT_UNITS[signal.unit]).magnitude
        if signal.name == "EVAP_VAPOR_PRESSURE" and data[1] & 0x80:
            expected += EVAP_ERROR_PA
        assert formula.value(data) == pytest.approx(expected, rel=1e-12, abs=1e-9), data.hex()


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_values_are_steps_within_the_range(signal: Signal) -> None:
    """Smallest and largest value are the catalogue's, each value a whole number of its steps."""
    formula = FORMULAS[pid_of(signal)]
    values = [formula.value(data) for data in samples(formula.n_bytes)]
    slack = signal.resolution / 2
    assert signal.minimum - slack <= min(values) <= max(values) <= signal.maximum + slack
    for value in values:
        steps = (value - signal.minimum) / signal.resolution
        assert steps == pytest.approx(round(steps), abs=1e-3)
