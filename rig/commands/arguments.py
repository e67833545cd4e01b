"""Kinds of values on the command line, refused with what was expected and what came."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from rig.quantity import DURATION, QuantityError

GREATEST_SEED = 2**63 - 1


def whole(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds."""
    bounds = f"from {minimum}" + ("" if maximum is None else f" to {maximum}")

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum or (maximum is not None and value > maximum):
            raise argparse.ArgumentTypeError(
                f"expected a whole number {bounds}, found {text!r}"
            ) from None
        return value

    return read


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}") from None
    return value


def instant(text: str) -> float:
    """Read a time such as "90 s" or "-2s", as seconds."""
    sign = -1.0 if text.startswith("-") else 1.0
    try:
        return sign * DURATION.parse(text.removeprefix("-"))
    except QuantityError as error:
        raise argparse.ArgumentTypeError(
            f"expected a time such as '90 s', found {text!r}"
        ) from error


seed = whole(0, GREATEST_SEED)
count = whole(1)
