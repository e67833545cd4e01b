"""A Lawicel (slcan) CAN adapter: text commands on a serial line, a controller on the CAN bus."""

from __future__ import annotations

from sim.slcan.adapter import SlcanAdapter
from sim.slcan.counters import SlcanCounters
from sim.slcan.memory import SlcanMemory
from sim.slcan.profiles import PROFILES, SlcanProfile

__all__ = ["PROFILES", "SlcanAdapter", "SlcanCounters", "SlcanMemory", "SlcanProfile"]
