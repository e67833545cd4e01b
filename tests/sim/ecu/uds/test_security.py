"""Seed and key, attempts, delay; writing behind it."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from sim.ecu.uds import key_of
from sim.ecu.uds.security import DELAY_S

WRONG = "00000000"


@pytest.fixture
def extended(bench: Any) -> Any:
    """A parked car whose ECM is in the extended session."""
    bench.car.state.engine_on = False
    bench.car.state.speed_mps = 0.0
    bench.talk("1003")
    return bench


def unlock(bench: Any, level: int = 1, to: int = 0x7E0) -> str:
    """Ask for a seed and send its key."""
    seed = bytes.fromhex(bench.talk(f"27{level:02x}", to))[2:]
    return bench.talk(f"27{level + 1:02x}{key_of(seed, level).hex()}", to)  # type: ignore[no-any-return]


def test_algorithm_is_the_documented_one() -> None:
    """The key is the CRC-32 of seed and level."""
    assert key_of(b"\x01\x02\x03\x04", 1) == zlib.crc32(b"\x01\x02\x03\x04\x01").to_bytes(4, "big")
    assert key_of(b"\x01\x02\x03\x04", 1).hex() == "40665ded"


def test_right_key_unlocks(extended: Any) -> None:
    """After it the seed is zeros, as the standard has it."""
    assert unlock(extended) == "6702"
    assert extended.talk("2701") == "670100000000"


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("270200000000", "7f2724"),  # no seed was given
        ("2703", "7f2712"),
        ("270100", "7f2713"),
        ("2711", "7f277e"),
        ("27", "7f2713"),
    ],
)
def test_refusals(extended: Any, request_hex: str, answer: str) -> None:
    """What is out of order, not there, or of wrong length."""
    assert extended.talk(request_hex) == answer


def test_seed_serves_once(extended: Any) -> None:
    """A key needs a seed of its own; a second key for the same seed is out of order."""
    extended.talk("2701")
    assert extended.talk("2702" + WRONG) == "7f2735"
    assert extended.talk("2702" + WRONG) == "7f2724"


def test_attempts_are_counted_and_delay_follows(extended: Any) -> None:
    """Two wrong keys, 35; the third, 36; then 37 until the delay is over, then one attempt."""
    said = []
    for _ in range(3):
        extended.talk("2701")
        said.append(extended.talk("2702" + WRONG))
    assert said == ["7f2735", "7f2735", "7f2736"]
    assert extended.talk("2701") == "7f2737"
    for _ in range(3):
        extended.talk("3e80", wait_s=DELAY_S / 3)
    extended.talk("2701")
    assert extended.talk("2702" + WRONG) == "7f2736"
    for _ in range(3):
        extended.talk("3e80", wait_s=DELAY_S / 3)
    assert unlock(extended) == "6702"


def test_reset_does_not_shorten_the_delay(extended: Any) -> None:
    """Who restarts the ECU waits anew."""
    for _ in range(3):
        extended.talk("2701")
        extended.talk("2702" + WRONG)
    extended.talk("1101", wait_s=DELAY_S + 0.5)  # of which it boots for 0.8
    extended.talk("1003")
    assert extended.talk("2701") == "7f2737"
    extended.run(0.5)
    assert extended.talk("2701").startswith("6701")


def test_right_key_gives_all_attempts_back(extended: Any) -> None:
    """Mistakes before it do not count any more."""
    for _ in range(2):
        said = []
        for _ in range(2):
            extended.talk("2701")
            said.append(extended.talk("2702" + WRONG))
        assert said == ["7f2735"] * 2
        assert unlock(extended) == "6702"
        extended.talk("1003")


def test_session_change_locks(extended: Any) -> None:
    """Entering a session, even the same one, takes the security away."""
    unlock(extended)
    extended.talk("1003")
    assert extended.talk("2ef19920200101") == "7f2e33"


def test_seeds_differ_and_come_from_the_own_stream(make_bench: Any) -> None:
    """Two seeds of a run differ; two runs of one seed give the same; OBD timing is not touched."""
    seeds = []
    for _ in range(2):
        bench = make_bench(3)
        bench.talk("1003")
        seeds.append([bench.talk("2701"), bench.talk("2701")])
    assert seeds[0] == seeds[1]
    assert seeds[0][0] != seeds[0][1]


def test_write_needs_session_security_and_length(extended: Any) -> None:
    """What was written is read back, and outlives a restart."""
    assert extended.talk("2ef19920260131") == "7f2e33"
    assert extended.talk("2ef19020260131") == "7f2e31"
    unlock(extended)
    assert extended.talk("2ef199202601") == "7f2e13"
    assert extended.talk("2ef199") == "7f2e13"
    assert extended.talk("2ef19920260131") == "6ef199"
    shop = b"TELERIG BENCH 01".hex()
    assert extended.talk("2ef198" + shop, wait_s=0.2) == "6ef198"
    extended.talk("1101", wait_s=2.0)
    assert extended.talk("22f199f198") == "62f19920260131f198" + shop


def test_faulty_memory_fails_to_write(extended: Any) -> None:
    """Writing fails with 72, and the old value stays."""
    unlock(extended)
    extended.ecus.ecm.diagnostics.memory.faulty = True
    assert extended.talk("2ef19920260131") == "7f2e72"
    assert extended.talk("22f199") == "62f19920130815"


def test_memories_are_per_ecu(extended: Any) -> None:
    """What is written to the body control module is not in the engine's."""
    extended.talk("1003", 0x726)
    unlock(extended, to=0x726)
    extended.talk("2ef19920260131", 0x726)
    assert extended.talk("22f199", 0x726) == "62f19920260131"
    assert extended.talk("22f199") == "62f19920130815"
