"""What the gateway has answered for, packet by packet; compact, for it may be millions."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rig.errors import RigError
from sim.fleet.vehicle import Listener, Vehicle

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Acknowledged(NamedTuple):
    """One packet that a gateway has answered for.

    Attributes:
        vehicle: number in the fleet.
        lap, seq: whose packet; the lap gives the boot.
        now_s: when the answer came, on the driver's clock.
    """

    vehicle: int
    lap: int
    seq: int
    now_s: float


@dataclass(frozen=True, slots=True)
class Delays:
    """What `quantiles_s` is made of.

    Attributes:
        packets_s: from a packet's close to its acknowledgement.
        rows: of a packet.
        period_s: from row to row.
    """

    packets_s: Floats
    rows: int
    period_s: float


class Record(Listener):
    """Takes what vehicles tell.

    Attributes:
        refused_packets, dropped_packets: given up, by the gateway's word and by a full store.
        reasons: of refusals.
        requests_by_second: requests that began, by second of the driver's clock.
        answers: statuses of answers; 0: none came.
    """

    def __init__(self) -> None:
        self.refused_packets: list[tuple[int, int, int]] = []
        self.dropped_packets: list[tuple[int, int, int]] = []
        self.reasons: Counter[str] = Counter()
        self.requests_by_second: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self._vehicles = array("I")
        self._laps = array("H")
        self._seqs = array("I")
        self._at_s = array("d")

    def __len__(self) -> int:
        return len(self._vehicles)

    def __iter__(self) -> Iterator[Acknowledged]:
        for entry in zip(self._vehicles, self._laps, self._seqs, self._at_s, strict=True):
            yield Acknowledged(*entry)

    def acknowledged(self, vehicle: Vehicle, lap: int, seq: int, now_s: float) -> None:
        self._vehicles.append(vehicle.number)
        self._laps.append(lap)
        self._seqs.append(seq)
        self._at_s.append(now_s)

    def refused(self, vehicle: Vehicle, lap: int, seq: int, reason: str) -> None:
        self.refused_packets.append((vehicle.number, lap, seq))
        self.reasons[reason] += 1

    def dropped(self, vehicle: Vehicle, lap: int, seq: int) -> None:
        self.dropped_packets.append((vehicle.number, lap, seq))

    def arrays(self) -> tuple[Any, Any, Any, Floats]:
        """Return vehicles, laps, packet numbers and instants, in the order of the answers."""
        return (
            np.array(self._vehicles),
            np.array(self._laps),
            np.array(self._seqs),
            np.array(self._at_s),
        )

    def delays(
        self, vehicles: Sequence[Vehicle], from_s: float = 0.0, until_s: float = np.inf
    ) -> Delays | None:
        """Return how late packets were acknowledged that were closed in a time; None: none."""
        if not len(self) or not vehicles:
            return None
        closed_s = self.closed_s(vehicles)
        chosen = (closed_s >= from_s) & (closed_s < until_s)
        if not chosen.any():
            return None
        model = vehicles[0].model
        late_s = self.arrays()[3] - closed_s
        return Delays(late_s[chosen], model.rows_each, model.profile.period_ms / 1000.0)

    def closed_s(self, vehicles: Sequence[Vehicle]) -> Floats:
        """Return when each acknowledged packet was closed, as `Vehicle.closed_s` says it."""
        model = vehicles[0].model
        each_s = model.rows_each * model.profile.period_ms / 1000.0
        number, lap, seq, _ = self.arrays()
        starts_s = np.array([vehicle.start_s for vehicle in vehicles])
        laps_s = np.array([vehicle.model.lap_s for vehicle in vehicles])
        closed_s: Floats = starts_s[number] + lap * laps_s[number] + (seq + 1.0) * each_s
        return closed_s

    @property
    def sha256(self) -> str:
        """What tells two records apart: of all that was acknowledged, with its instants."""
        digest = hashlib.sha256()
        for part in (self._vehicles, self._laps, self._seqs, self._at_s):
            digest.update(part.tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write it as .npz, to be checked later or by another process."""
        vehicles, laps, seqs, at_s = self.arrays()
        np.savez_compressed(path, vehicles=vehicles, laps=laps, seqs=seqs, at_s=at_s)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read what `save` wrote.

        Raises:
            RigError: it is none.
        """
        record = cls()
        try:
            with np.load(path) as saved:
                record._vehicles = array("I", saved["vehicles"].astype(np.uint32).tobytes())
                record._laps = array("H", saved["laps"].astype(np.uint16).tobytes())
                record._seqs = array("I", saved["seqs"].astype(np.uint32).tobytes())
                record._at_s = array("d", saved["at_s"].astype(np.float64).tobytes())
        except (OSError, KeyError, ValueError) as error:
            raise RigError(f"{path}: expected the record of a fleet, found {error}") from error
        return record


def quantiles_s(delays: Delays, parts: Sequence[float]) -> list[float]:
    """Return quantiles of the time from a reading's due instant to its acknowledgement, seconds.

    The readings of a packet were due 1, 2, … periods before it was closed.
    """
    waits_s = np.arange(1, delays.rows + 1) * delays.period_s
    readings_s = np.sort((delays.packets_s[:, None] + waits_s[None, :]).ravel())
    last = len(readings_s) - 1
    return [float(readings_s[min(last, int(np.ceil(part * last)))]) for part in parts]
