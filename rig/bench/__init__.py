"""What stands on the desk, apart from what is done with it: bench files.

A scenario names links; a bench file says what each of them is: the world's model, a real device, or
a real port that the model drives for a gateway on another box.
"""

from rig.bench.model import (
    ALL_MODELLED,
    DRIVE,
    MODEL,
    PLACES,
    REAL,
    Bench,
    GatewayPlace,
    Place,
    PowerSwitch,
)
from rig.bench.read import read_bench

__all__ = [
    "ALL_MODELLED",
    "DRIVE",
    "MODEL",
    "PLACES",
    "REAL",
    "Bench",
    "GatewayPlace",
    "Place",
    "PowerSwitch",
    "read_bench",
]
