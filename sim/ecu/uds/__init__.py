"""Unified diagnostic services (ISO 14229-1) of the car's ECUs."""

from sim.ecu.uds.identifiers import Certainty, DidSpec
from sim.ecu.uds.security import key_of
from sim.ecu.uds.server import Reply, UdsServer, UdsService
from sim.ecu.uds.state import DiagnosticState, Session

__all__ = [
    "Certainty",
    "DiagnosticState",
    "DidSpec",
    "Reply",
    "Session",
    "UdsServer",
    "UdsService",
    "key_of",
]
