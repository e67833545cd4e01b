"""ECUs beside the powertrain: they are there for UDS, and leave OBD traffic as it was."""

from __future__ import annotations

import random
from typing import Any

import pytest
import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel
from sim.ecu import Addressing, build_ecus
from sim.ecu.body import BODY
from sim.ecu.plan import EcuPlan

FUNCTIONAL_ID = 0x7DF


@pytest.mark.parametrize("plan", BODY, ids=lambda plan: plan.name)
def test_body_ecus_answer_uds_and_no_obd(bench: Any, plan: EcuPlan) -> None:
    """Physically J1979 is refused as not supported; the answer is 8 above the request."""
    assert bench.talk("22f197", plan.request_id).startswith(
        "62f197" + plan.identity.acronym.encode().hex()
    )
    assert bench.answers[0][1] == plan.request_id + 8
    assert bench.talk("0100", plan.request_id) == "7f0111"
    assert bench.talk("03", plan.request_id) == "7f0311"


@pytest.mark.parametrize(
    "request_hex", ["0100", "010C", "0101", "03", "07", "0A", "0902", "0600", "020000", "04"]
)
def test_functional_obd_is_answered_by_the_powertrain_alone(bench: Any, request_hex: str) -> None:
    """No frame of another ECU appears."""
    bench.ask(request_hex)
    senders = {frame.arbitration_id for _t, frame in bench.frames}
    assert senders <= {0x7E8, 0x7E9}


def test_body_ecus_do_not_shift_obd_answers(make_bench: Any) -> None:
    """Requests to them between OBD requests leave the instants of OBD answers as they are."""
    times_s = []
    for busy in (False, True):
        bench = make_bench(5)
        for _ in range(10):
            if busy:
                bench.talk("22f190", 0x726)
            else:
                bench.run(0.1)
            start_s = bench.env.now
            bench.ask("010C", 0x7E0)
            times_s.append(round(bench.answers[0][0] - start_s, 9))
    assert times_s[:10] == times_s[10:]


def test_unknown_name_is_refused(bench: Any) -> None:
    """The error lists the ECUs that there are."""
    with pytest.raises(KeyError, match="ecm, tcm, ipc, bcm, pscm, abs"):
        bench.ecus.named("xyz")


def test_every_identifier_and_address_is_used_once(bench: Any) -> None:
    """No two ECUs share an address in either kind of addressing."""
    for addressing in Addressing:
        ids = [unit.plan.ids(addressing) for unit in bench.ecus.all]
        assert len({each.request for each in ids} | {each.response for each in ids}) == 12


class ExtendedCar:
    """The same ECUs on a bus with 29 bit identifiers, and a tester there."""

    def __init__(self, car: Any) -> None:
        self.env = simpy.Environment()
        bus = CanBus(self.env)
        build_ecus(
            self.env, bus, car, random.Random, "WF0DXXGAKDDK12345",
            addressing=Addressing.NORMAL_FIXED_29,
        )  # fmt: skip
        self.heard: list[tuple[int, bytes]] = []
        self.frames: list[CanFrame] = []
        self.node = bus.attach("tester", self._on_frame)
        self.channels = [self._channel(bus, address) for address in (0x10, 0x18, 0x40)]

    def _channel(self, bus: CanBus, address: int) -> IsoTpChannel:
        return IsoTpChannel(
            self.env, self.node, 0x18DA00F1 | address << 8, 0x18DAF100 | address,
            lambda payload, _functional: self.heard.append((address, payload)), is_extended=True,
        )  # fmt: skip

    def _on_frame(self, frame: CanFrame, t_s: float) -> None:
        self.frames.append(frame)
        for channel in self.channels:
            channel.on_frame(frame, t_s)


def test_normal_fixed_addressing(bench: Any) -> None:
    """18DB33F1 reaches the powertrain for OBD, 18DAxxF1 one ECU; 11 bit requests nobody."""
    car = ExtendedCar(bench.car)
    car.node.send(CanFrame(0x18DB33F1, b"\x02\x01\x0c", is_extended=True))
    car.env.run(until=0.1)
    assert car.heard == [(0x10, b"\x41\x0c\x26\xdd")]
    car.channels[2].send(b"\x22\xf1\x90")
    car.env.run(until=0.2)
    assert car.heard[1:] == [(0x40, b"\x62\xf1\x90WF0DXXGAKDDK12345")]
    assert all(frame.is_extended for frame in car.frames)
    count = len(car.frames)
    car.node.send(CanFrame(FUNCTIONAL_ID, b"\x02\x01\x0c"))
    car.node.send(CanFrame(0x7E0, b"\x02\x01\x0c"))
    car.env.run(until=0.3)
    assert len(car.frames) == count
