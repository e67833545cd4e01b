"""Opening an interface of python-can, with messages that say what to do where it cannot be."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rig.errors import RigError

if TYPE_CHECKING:
    import can

SOCKETCAN = "socketcan"
VIRTUAL = "virtual"
DEFAULT_BITRATE_BPS = 500_000


class CanDoorError(RigError):
    """A CAN interface cannot be opened."""

    usage = True


@dataclass(frozen=True, slots=True)
class CanInterfaceSpec:
    """An interface as python-can knows it.

    Attributes:
        interface: "socketcan", "pcan", "slcan", "virtual", …
        channel: "can0", "PCAN_USBBUS1", "/dev/ttyACM0", …
        bitrate_bps: of the bus; for interfaces that set it.
        options: further keywords of `can.Bus`.
        place: where it was named, for messages: "--socketcan", "bench.yaml:3".
    """

    interface: str
    channel: str | int
    bitrate_bps: int = DEFAULT_BITRATE_BPS
    options: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    def __str__(self) -> str:
        return f"{self.interface} {self.channel}"


def open_interface(spec: CanInterfaceSpec) -> can.BusABC:
    """Open an interface; it does not hear its own frames.

    Raises:
        CanDoorError: python-can is not installed, or the interface is not there.
    """
    where = f"{spec.place}: " if spec.place else ""
    try:
        import can
    except ImportError as error:
        raise CanDoorError(
            f"{where}expected the package python-can, found none; install telerig with the extra "
            "'can'"
        ) from error
    if spec.interface == SOCKETCAN:
        _check_socketcan(where)
    elif spec.interface not in can.VALID_INTERFACES:
        known = ", ".join(sorted(can.VALID_INTERFACES))
        raise CanDoorError(
            f"{where}expected an interface of python-can ({known}), found {spec.interface!r}"
        )
    keywords: dict[str, Any] = dict(spec.options)
    if spec.interface not in (SOCKETCAN, VIRTUAL):
        keywords.setdefault("bitrate", spec.bitrate_bps)
    keywords.setdefault("receive_own_messages", False)
    try:
        with _quiet():
            return can.Bus(interface=spec.interface, channel=spec.channel, **keywords)
    except Exception as error:  # drivers that are missing raise whatever they like, even NameError
        missing = _missing(error)
        if missing:
            raise CanDoorError(
                f"{where}expected {missing} for the CAN interface {spec}, found none; "
                "give them as options of a bench file"
            ) from error
        raise CanDoorError(
            f"{where}expected the CAN interface {spec} to open, found: {_words(error)}; "
            f"{_advice(spec)}"
        ) from error


def _check_socketcan(where: str) -> None:
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except (OSError, AttributeError) as error:
        raise CanDoorError(
            f"{where}expected a kernel with SocketCAN, found one without AF_CAN ({_words(error)}); "
            "load its modules (modprobe can can_raw vcan), or use --tcp or --slcan, which need none"
        ) from error


def _advice(spec: CanInterfaceSpec) -> str:
    if spec.interface == SOCKETCAN:
        name = spec.channel
        return f"make it: ip link add {name} type vcan; ip link set {name} up"
    return "is it plugged in, and its driver installed?"


def _missing(error: BaseException) -> str:
    """Give the keywords that a driver wants and did not get; empty where that is not the reason."""
    text = str(error)
    if not isinstance(error, TypeError) or " missing " not in text:
        return ""
    return " and ".join(re.findall(r"'(\w+)'", text))


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what drivers log and print while they look for themselves off the terminal."""
    logger = logging.getLogger("can")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
