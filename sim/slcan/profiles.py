"""What tells one slcan adapter on the market from another.

Sources, by profile:

lawicel_canusb  LAWICEL CANUSB manual: command set, `z`/`Z` for a transmitted frame of 11/29 bits.
lawicel_can232  LAWICEL CAN232 version 3 manual (2010): as before and `P`, `A`, `X`, `U`; CR for a
                transmitted frame while auto poll is off, which is how it is delivered.
canable         normaldotcom/canable-fw, src/slcan.c, src/can.c: no answer to anything but `V`.
canable2        normaldotcom/canable2-fw, the same files, and src/usbd_cdc_if.c.

Sizes of FIFOs and buffers of the LAWICEL adapters are assumed: the manuals tell that there are
FIFOs and how full ones are reported, not how long they are. CANable's are those of its sources.
"""

from __future__ import annotations

from dataclasses import dataclass

LAWICEL_BITRATES = (
    *(10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000),
)  # fmt: skip
# S7 means 750 kbit/s in python-can and here, 800 kbit/s to LAWICEL and Linux.
CANABLE_BITRATES = (*LAWICEL_BITRATES[:7], 750_000, 1_000_000)
# 170 MHz over 17 quanta and a prescaler of 7: "THIS IS VERY INACCURATE" (canable2-fw, can.c).
CANABLE2_BITRATES = (*LAWICEL_BITRATES[:7], 1_428_571, 1_000_000, 83_333)

UART_RATES = (230_400, 115_200, 57_600, 38_400, 19_200, 9_600, 2_400)  # `U0` to `U6`


@dataclass(frozen=True, slots=True)
class SlcanProfile:
    """One kind of adapter.

    Attributes:
        name: key in `PROFILES`.
        about: a few words for a list of profiles.
        commands: letters that it knows; for LAWICEL adapters, others are answered with BELL.
        bitrates_bps: what `S0`, `S1`… mean.
        baud: of the serial line as delivered, or what its USB connection carries.
        version: answer to `V`, without its CR.
        serial_number: answer to `N`, without its CR.
        silent: True for CANable's firmware: no CR, no BELL, other commands.
        acknowledgements: what ends a transmit command, by its letter, while auto poll is on.
        polls: True if frames can be polled: `X` exists, and is off as delivered.
        default_bitrate_bps: bit rate when none was set; None refuses to open.
        auto_recovery: it returns from bus-off by itself.
        rx_frames: length of the receive FIFO.
        tx_frames: length of the transmit FIFO.
        line_bytes: longest command, without its CR.
        usb: True if it hangs on USB: it lives on the cable's power, and full buffers make either
            side wait. False is RS-232 without a handshake, with power of its own.
        takes_fd: True if it knows the letters of CAN FD.
    """

    name: str
    about: str
    commands: str
    bitrates_bps: tuple[int, ...] = LAWICEL_BITRATES
    baud: int = 3_000_000
    version: bytes = b"V1013"
    serial_number: bytes = b"NA123"
    silent: bool = False
    acknowledgements: tuple[tuple[bytes, bytes], ...] = (
        *((b"t", b"z\r"), (b"T", b"Z\r"), (b"r", b"z\r"), (b"R", b"Z\r")),
    )  # fmt: skip
    polls: bool = False
    default_bitrate_bps: int | None = None
    auto_recovery: bool = False
    rx_frames: int = 32
    tx_frames: int = 8
    line_bytes: int = 32
    usb: bool = True
    takes_fd: bool = False


PROFILES: dict[str, SlcanProfile] = {
    profile.name: profile
    for profile in (
        SlcanProfile(
            "lawicel_canusb",
            "LAWICEL CANUSB, z and Z behind transmitted frames",
            "SsOLCtTrRFWMmVNZQ",
        ),
        SlcanProfile(
            "lawicel_can232",
            "LAWICEL CAN232 at 57600 baud, frames are polled until X1",
            "SsOLCtTrRPAFXWMmUVNZQ",
            baud=57_600,
            version=b"V1335",
            # The manual has z for R too, "not a typo" to those who have tried.
            acknowledgements=((b"t", b"z\r"), (b"T", b"Z\r"), (b"r", b"z\r"), (b"R", b"z\r")),
            polls=True,
            usb=False,
        ),
        SlcanProfile(
            "canable",
            "CANable with normaldotcom's firmware: no answers",
            "OCSmMaAvVtTrR",
            bitrates_bps=CANABLE_BITRATES,
            baud=8_000_000,  # USB full speed carries about 0.8 MB/s of bulk data
            version=b"b158aa7 github.com/normaldotcom/canable-fw.git",
            silent=True,
            default_bitrate_bps=125_000,
            auto_recovery=True,
            rx_frames=73,  # a USB transmit queue of 2048 bytes, in frames of 27
            tx_frames=63,
            line_bytes=30,
        ),
        SlcanProfile(
            "canable2",
            "CANable 2.0 with normaldotcom's firmware: no answers, letters of CAN FD",
            "OCSYMAVEtTrRdDbBX",
            bitrates_bps=CANABLE2_BITRATES,
            baud=8_000_000,
            version=b"16ce8e3 github.com/normaldotcom/canable2-fw.git",
            silent=True,
            default_bitrate_bps=125_000,
            rx_frames=73,
            tx_frames=63,
            line_bytes=155,
            takes_fd=True,
        ),
    )
}
