"""What can go wrong: faults as data, a catalogue of kinds, and their way into a world."""

from rig.faults.build import add_faults, fault
from rig.faults.catalogue import FAULT_KINDS, FaultKind, Parameter
from rig.faults.install import install, install_all
from rig.faults.spec import FaultSpec
from rig.faults.strike import FaultError, FaultWorld, Strike

__all__ = [
    "FAULT_KINDS",
    "FaultError",
    "FaultKind",
    "FaultSpec",
    "FaultWorld",
    "Parameter",
    "Strike",
    "add_faults",
    "fault",
    "install",
    "install_all",
]
