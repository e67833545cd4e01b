"""A job: one run for a worker process, and the messages that come back, as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Job(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker is asked to run.

    Attributes:
        scenario: path of the scenario file.
        variant: which of its matrix variants; "" where there is no matrix.
        seed: of every random stream.
        folder: of the record; made by the worker.
        database_url: a database of its own, empty.
        base_database_url: another one for the base station's gateway, where the run has one.
        command: the one command that repeats the run, for the record.
        wall_limit_s: a run without progress for so long ends with a dump of every thread's stack.
        preload: "module:function" called before the gateway starts: a test breaks the gateway here.
        pace: simulated seconds per wall second of a paced run.
        bench: file that says which links are real; None: none is.
    """

    scenario: Path
    variant: str = ""
    seed: int = 0
    folder: Path
    database_url: str
    base_database_url: str = ""
    command: str = ""
    wall_limit_s: float = 60.0
    preload: str = ""
    pace: float = 1.0
    bench: Path | None = None


class Progress(msgspec.Struct, kw_only=True, frozen=True, tag="progress"):
    """How far a run is."""

    sim_s: float
    end_s: float
    phase: str
    readings: int
    speed_kph: float = 0.0


class Finished(msgspec.Struct, kw_only=True, frozen=True, tag="finished"):
    """A run that came to its end; the figures are in the record."""

    sim_s: float
    wall_s: float
    trace_sha256: str


class Failed(msgspec.Struct, kw_only=True, frozen=True, tag="failed"):
    """A run that did not come to its end."""

    message: str
    usage: bool = False


Message = Progress | Finished | Failed
decode_message = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.Encoder(enc_hook=str).encode


def encode(value: Any) -> bytes:
    """One line."""
    return _encode(value) + b"\n"


def decode_job(data: bytes) -> Job:
    return msgspec.json.decode(data, type=Job, dec_hook=lambda kind, value: kind(value))
