"""The command `telerig forward`."""

from __future__ import annotations

from server.forward.cli import shown

STREAM = {
    "device": "car-1",
    "state": "waiting",
    "records": 3,
    "readings": 48_210,
    "bytes": 731_044,
    "oldest_age_s": 312.4,
    "reason": "connection refused",
    "next_try_s": 48.0,
    "sent": 901_233,
    "stored": 901_180,
    "duplicates": 53,
    "refused": 0,
    "refusal": "",
    "dropped": 7,
    "missed": 0,
    "damaged_bytes": 0,
}


def test_a_stream_is_shown_with_what_is_wrong() -> None:
    """A table of the streams, why one does not go on, and what was given up."""
    text = shown({"url": "https://far.example", "streams": [STREAM]})
    lines = text.splitlines()
    assert lines[0] == "to https://far.example"
    assert lines[2].split() == [
        "car-1",
        "waiting",
        "48210",
        "731044",
        "312",
        "s",
        "901233",
        "901180",
        "53",
        "0",
    ]
    assert lines[3] == "car-1: connection refused (again in 48 s)"
    assert "7 readings dropped" in lines[4]


def test_nothing_is_forwarded() -> None:
    """Where nothing is configured, that is said."""
    assert "nothing is forwarded" in shown({"url": "", "streams": []})
