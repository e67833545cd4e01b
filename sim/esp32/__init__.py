"""An ESP32 in the car: CAN, GNSS, console, flash, Wi-Fi; it runs the firmware of `firmware_stubs`.

The time that the chip computes is not modelled: a call of the firmware takes no simulated time
except for what its flash needs. Whether the code is fast enough for a real chip must be measured
there, or under MicroPython.
"""

from sim.esp32.board import Board, BoardSetup, Firmware, GnssSetup
from sim.esp32.fleet import Askers, Fleet
from sim.esp32.http_client import HttpAnswer, HttpRequest, Internet
from sim.esp32.wifi import Network, WifiSetup

__all__ = [
    "Askers",
    "Board",
    "BoardSetup",
    "Firmware",
    "Fleet",
    "GnssSetup",
    "HttpAnswer",
    "HttpRequest",
    "Internet",
    "Network",
    "WifiSetup",
]
