"""The car's ECUs: what they measure, remember and answer on the CAN bus."""

from sim.ecu.dtc import DtcStore
from sim.ecu.ecu import Ecu
from sim.ecu.errors import DtcError, EcuError, Nrc
from sim.ecu.parameter import PidSpec
from sim.ecu.pids import PIDS
from sim.ecu.powertrain import Ecus, PowertrainEcu, build_ecus

__all__ = [
    "PIDS",
    "DtcError",
    "DtcStore",
    "Ecu",
    "EcuError",
    "Ecus",
    "Nrc",
    "PidSpec",
    "PowertrainEcu",
    "build_ecus",
]
