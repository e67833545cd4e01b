"""A model of the ELM327 OBD adapter, behind a serial line and on the simulated CAN bus."""

from __future__ import annotations

from sim.elm327.adapter import Elm327, State
from sim.elm327.profiles import PROFILES, AdapterProfile

__all__ = ["PROFILES", "AdapterProfile", "Elm327", "State"]
