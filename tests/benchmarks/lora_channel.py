"""The LoRa channel: how fast, and how near to firmware.

Speed: Meshtasticator's default workload (15 x 15 km, LongFast, hop limit 3, each node a broadcast
of 40 bytes that wants an acknowledgement every 100 s on average, 1,800 s). Beside it what
Meshtasticator took on two such cores; it did not end with 100 nodes in 250 s.

Delivery: a published experiment with real firmware (`lora_lab`), whose radios are the firmware's
`SimRadio`. Three times: with our radio in place of it, with its own rules, and with its own rules
but for the one that ends a reception early. Nothing is fitted.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Generator, Iterator

import simpy

from sim.lora.channel import Channel
from sim.lora.presets import PRESETS
from sim.lora.propagation import Place
from sim.lora.regions import REGIONS
from sim.meshtastic import packet as wire
from sim.meshtastic.mac import Mac
from sim.meshtastic.node import DEFAULT_CHANNEL, MeshNode
from sim.meshtastic.packet import BROADCAST, Packet
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.lora_lab import PUBLISHED, MendedSimRadioMac, SimRadioMac, runs

SIMULATED_S = 1_800
PERIOD_S = 100.0
PAYLOAD_BYTES = 40
SIDE_M = 15_000.0
POWER_DBM = 30.0
PRESET = PRESETS["LONG_FAST"]
PEER = "Meshtasticator"
PEER_S = {2: SIMULATED_S / 128_000, 10: SIMULATED_S / 960, 30: SIMULATED_S / 37, 100: 250.0}
GOALS_S = {30: 5.0, 100: 60.0}
LAB = "firmware lab"
OUR_RADIO = "our radio"
LAB_RADIO = "the lab's radio"
MENDED_RADIO = "the lab's radio, mended"


class Suburb:
    """The path loss that Meshtasticator uses unless told otherwise: 3GPP suburban macro, 1 m."""

    def __call__(self, a: Place, b: Place) -> float:
        """Give the loss in decibels."""
        way_m = max(1.0, math.hypot(a.x_m - b.x_m, a.y_m - b.y_m))
        return 44.9 * (math.log10(way_m) - 3.0) + 45.5 + 34.36 * math.log10(915.0) + 0.7


def measure(quick: bool) -> list[Row]:
    """Measure speed and delivery."""
    counts = (2, 10) if quick else (2, 10, 30, 100)
    rows = [row for count in counts for row in _speed(count, 1 if quick else 3)]
    seeds = range(1 if quick else 10)
    for title, mac_type in ((OUR_RADIO, Mac), (LAB_RADIO, SimRadioMac)):
        for known_keys in (False, True):
            rows += _delivery(title, mac_type, seeds, known_keys=known_keys)
    return rows + _delivery(MENDED_RADIO, MendedSimRadioMac, seeds, known_keys=False)


def _speed(count: int, times: int) -> list[Row]:
    taken = [_simulate(count, seed) for seed in range(times)]
    seconds = [cpu_s for cpu_s, _, _ in taken]
    goal_s = GOALS_S.get(count)
    peer = PEER if count < 100 else f"{PEER}, not done"
    return [
        Row(
            f"{count} nodes, {SIMULATED_S:,} s",
            seconds,
            "s of CPU",
            goal=Goal(most=goal_s) if goal_s else None,
            beside=Beside(peer, PEER_S[count]),
        ),
        Row(f"{count} nodes: events", [events / cpu_s for cpu_s, events, _ in taken], "/s"),
        Row(f"{count} nodes: transmissions", [float(sent) for _, _, sent in taken], ""),
    ]


def _simulate(count: int, seed: int) -> tuple[float, int, int]:
    """Give seconds of CPU, SimPy events and transmissions."""
    env = simpy.Environment()
    channel = Channel(env, PRESET, 915.0, random.Random(seed), Suburb(), shadowing_db=0)
    for index, place in enumerate(_places(count, seed)):
        node = MeshNode(
            env,
            0x1000 + index,
            channel,
            place,
            random.Random(f"{seed}/{index}"),
            region=REGIONS["US"],
            tx_power_dbm=POWER_DBM,
            chip_limit_dbm=POWER_DBM,
        )
        env.process(_talk(env, node, random.Random(f"{seed}/{index}/messages")))
    events = 0
    began_s = time.process_time()
    while env.peek() < SIMULATED_S:
        env.step()
        events += 1
    return time.process_time() - began_s, events, channel.transmissions


def _places(count: int, seed: int) -> list[Place]:
    """Random places, each within reach of one before it, as the peer draws them."""
    stream = random.Random(f"{seed}/places")
    loss, reach_db = Suburb(), POWER_DBM - PRESET.sensitivity_dbm
    places: list[Place] = []
    while len(places) < count:
        place = Place(stream.uniform(0, SIDE_M), stream.uniform(0, SIDE_M), 1.0)
        if not places or any(loss(place, other) < reach_db for other in places):
            places.append(place)
    return places


def _talk(
    env: simpy.Environment, node: MeshNode, stream: random.Random
) -> Generator[simpy.Event, None, None]:
    channel_hash, key = DEFAULT_CHANNEL
    payload = wire.private_data(b"x" * PAYLOAD_BYTES)[:PAYLOAD_BYTES]
    while True:
        yield env.timeout(stream.expovariate(1 / PERIOD_S))
        node.send(
            Packet(
                node.number,
                BROADCAST,
                node.new_packet_id(),
                payload,
                channel_hash=channel_hash,
                key=key,
                want_ack=True,
            )
        )


def _delivery(title: str, mac_type: type[Mac], seeds: range, *, known_keys: bool) -> list[Row]:
    """Two rows per preset, and how far all are from the published table on average."""
    title = f"{title}, {'public keys' if known_keys else 'channel key'}"
    delivered: list[Row] = []
    relays: list[Row] = []
    transmissions: list[float] = []
    for name, published in PUBLISHED.items():
        labs = runs(name, seeds, mac_type, known_keys=known_keys)
        delivered.append(
            Row(
                f"{title}, {name}: delivered",
                [lab.delivered_pct for lab in labs],
                "%",
                beside=Beside(LAB, published.delivered_pct),
            )
        )
        relays.append(
            Row(
                f"{title}, {name}: relays",
                [lab.relays_pct for lab in labs],
                "%",
                beside=Beside(LAB, published.relays_pct),
            )
        )
        count = statistics.mean(lab.transmissions for lab in labs)
        transmissions.append(count / published.transmissions)
    times = Row(f"{title}: transmissions", transmissions, "times the lab's, by preset")
    return [*delivered, *relays, *_deviations(title, delivered, relays), times]


def _deviations(title: str, delivered: list[Row], relays: list[Row]) -> Iterator[Row]:
    for what, rows in (("delivered", delivered), ("relays", relays)):
        off = [statistics.mean(row.values) - row.beside.value for row in rows if row.beside]
        yield Row(f"{title}: {what} less the lab's, mean", [statistics.mean(off)], "points")
        sizes = list(map(abs, off))
        yield Row(f"{title}: {what}, mean size of it", [statistics.mean(sizes)], "points")
