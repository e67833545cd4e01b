"""The car's ECUs: what they measure, remember and answer on the CAN bus."""

from sim.ecu.addressing import Addressing
from sim.ecu.control_unit import ControlUnit
from sim.ecu.dtc import DtcStore
from sim.ecu.ecu import Ecu
from sim.ecu.errors import DtcError, EcuError, Nrc
from sim.ecu.parameter import PidSpec
from sim.ecu.pids import PIDS
from sim.ecu.plan import EcuPlan
from sim.ecu.powertrain import Ecus, build_ecus

__all__ = [
    "PIDS",
    "Addressing",
    "ControlUnit",
    "DtcError",
    "DtcStore",
    "Ecu",
    "EcuError",
    "EcuPlan",
    "Ecus",
    "Nrc",
    "PidSpec",
    "build_ecus",
]
