"""A GNSS receiver with the manners of real chips: order, pace, error, cold start and outages."""

from sim.gnss.dialects import COLD, HOT, WARM
from sim.gnss.errors import GnssError
from sim.gnss.fix import Fix, Motion
from sim.gnss.profiles import PROFILES, ReceiverProfile
from sim.gnss.receiver import GnssReceiver
from sim.gnss.sky import Satellite, SkyView, System

__all__ = [
    "COLD",
    "HOT",
    "PROFILES",
    "WARM",
    "Fix",
    "GnssError",
    "GnssReceiver",
    "Motion",
    "ReceiverProfile",
    "Satellite",
    "SkyView",
    "System",
]
