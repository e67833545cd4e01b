"""What a nursery is told about a worker besides its job: one JSON line before the job's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import msgspec

_ENCODING = "latin-1"  # keeps any byte: an environment need not be UTF-8


class Order(msgspec.Struct, kw_only=True, frozen=True):
    """Where and how a worker of a nursery runs.

    Attributes:
        environment: all of its environment variables, each byte a character.
        folder: the working folder.
        cores: on which it may run.
    """

    environment: dict[str, str]
    folder: str
    cores: list[int]


_encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode


def order_line(environment: Mapping[str, str], folder: Path, cores: list[int]) -> bytes:
    """Return the line that says all this."""
    kept = {_text(name): _text(value) for name, value in environment.items()}
    return _encode(Order(environment=kept, folder=_text(str(folder)), cores=cores)) + b"\n"


def replace_environment(order: Order, environment: MutableMapping[str, str] = os.environ) -> None:
    """Make the order's environment that of this process; what stays the same is not touched."""
    wanted = {_word(name): _word(value) for name, value in order.environment.items()}
    for name in environment.keys() - wanted.keys():
        del environment[name]
    for name, value in wanted.items():
        if environment.get(name) != value:
            environment[name] = value


def folder_of(order: Order) -> bytes:
    """Return the working folder as the system knows it."""
    return order.folder.encode(_ENCODING)


def _text(word: str) -> str:
    return os.fsencode(word).decode(_ENCODING)


def _word(text: str) -> str:
    return os.fsdecode(text.encode(_ENCODING))
