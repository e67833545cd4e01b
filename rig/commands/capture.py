"""`telerig capture`: records what real adapters say."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.quantity import DURATION, QuantityError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rig.wires.capture import Capture

PLAIN_PERIOD_S = 10.0
VIEW_PERIOD_S = 0.25
LAST_CHARACTERS = 60


class CaptureCommand:
    """Record what real adapters say, until Ctrl-C or for a time.

    A serial port is offered again as a PTY, at which any client may use it as ever (a gateway,
    python-OBD, gpsd, a terminal): bytes pass both ways, and so does the rate that the client sets.
    What a receiver says is recorded without a client, too. A CAN bus is listened to, nothing is
    sent. The folder is a run's record: `telerig report` and `telerig view` open it, `telerig wires
    play` plays it to a gateway.

    examples:
      telerig capture obd=/dev/ttyUSB0 gps=/dev/ttyACM0,baud=9600 --out captures/monday
      telerig capture gps=/dev/serial/by-id/usb-u-blox... --out captures/sky --for 10min
      telerig capture obd=socket://192.168.0.10:35000 --out captures/wifi
      telerig capture can=socketcan:can0 --out captures/bus
      telerig capture can=slcan:/dev/ttyACM1,bitrate=500000 obd=/dev/ttyUSB0 --out captures/car
      telerig wires show captures/monday

    exit code: 0 recorded, 1 a port cannot be had, 2 a word or an option is wrong
    """

    help = "record what real adapters say"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "places",
            nargs="+",
            metavar="LINK=PLACE",
            help="a device path, a URL of pyserial or host:port, with ,baud=N; can: "
            "INTERFACE:CHANNEL of python-can, with ,bitrate=N and its other options",
        )
        parser.add_argument(
            "--out", type=Path, required=True, metavar="FOLDER", help="of the record; a new one"
        )
        parser.add_argument(
            "--for", dest="for_s", type=_duration, metavar="TIME", help="60s, 10min (until Ctrl-C)"
        )
        parser.add_argument(
            "--json", action="store_true", help="JSON lines: the ports first, the counts last"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        from rich.console import Console

        from rig.wires.capture import Capture
        from rig.wires.places import read_place

        places = [read_place(word) for word in arguments.places]
        command = shlex.join(["telerig", "capture", *arguments.places, "--out", str(arguments.out)])
        console = Console(stderr=arguments.json)
        with Capture(places, arguments.out, name=arguments.out.name, command=command) as capture:
            _tell_ports(capture, console, as_json=arguments.json)
            view = _View(capture, console, quiet=arguments.json)
            try:
                with view:
                    capture.run(arguments.for_s, view.look)
            except KeyboardInterrupt:
                pass  # the way to end it
        _conclude(capture, console, arguments)
        return 0


class _View:
    """Rows that move on a terminal; a line now and then elsewhere."""

    def __init__(self, capture: Capture, console: Console, *, quiet: bool) -> None:
        from rich.live import Live

        self._capture = capture
        self._console = console
        self._quiet = quiet
        self._looked_s = time.monotonic()
        self._before = dict.fromkeys(capture.counts, 0)
        self._rates = dict.fromkeys(capture.counts, 0.0)
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal and not quiet
            else None
        )

    def __enter__(self) -> _View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def look(self) -> None:
        """Show how far it is, if it is time."""
        now_s = time.monotonic()
        period_s = PLAIN_PERIOD_S if self._live is None else VIEW_PERIOD_S
        if self._quiet or now_s - self._looked_s < period_s:
            return
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        for link, count in self._capture.counts.items():
            rate = (count.messages - self._before[link]) / passed_s
            slow = 1.0 if self._live is None else min(1.0, passed_s)
            self._rates[link] += (rate - self._rates[link]) * slow
            self._before[link] = count.messages
        if self._live is None:
            for link in self._capture.counts:
                self._console.print(
                    "  " + self._line(link), markup=False, highlight=False, soft_wrap=True
                )
        else:
            self._live.update(self._table(), refresh=True)

    def _line(self, link: str) -> str:
        count = self._capture.counts[link]
        return (
            f"{self._capture.elapsed_s:.0f} s  {link}  {count.to_host} bytes, "
            f"{self._rates[link]:.1f} messages/s  {_printable(count.last)}"
            + ("  (the device is gone)" if count.gone else "")
        )

    def _table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, title=f"{self._capture.elapsed_s:.0f} s, Ctrl-C ends it")
        for name in ("link", "from it", "to it", "messages", "/s", "client", "last"):
            table.add_column(name, justify="right" if name not in ("link", "last") else "left")
        for link, count in self._capture.counts.items():
            table.add_row(
                link,
                str(count.to_host),
                str(count.to_device),
                str(count.messages),
                f"{self._rates[link]:.1f}",
                "gone" if count.gone else "yes" if count.client else "no",
                Text(_printable(count.last)),
            )
        return table


def _tell_ports(capture: Capture, console: Console, *, as_json: bool) -> None:
    if as_json:
        ports = {link: str(path) for link, path in capture.ports.items()}
        print(json.dumps({"capture": "ready", "ports": ports}), flush=True)
        return
    for link in capture.counts:
        port = capture.ports.get(link)
        where = "is listened to" if port is None else f"is offered at {port}"
        console.print(f"{link} {where}", markup=False, highlight=False)
    sys.stdout.flush()


def _conclude(capture: Capture, console: Console, arguments: argparse.Namespace) -> None:
    if arguments.json:
        counts: dict[str, Any] = {
            link: {
                "to_host_bytes": count.to_host,
                "to_device_bytes": count.to_device,
                "messages": count.messages,
            }
            for link, count in capture.counts.items()
        }
        document = {"record": str(arguments.out), "links": counts, "lost_chunks": capture.lost}
        print(json.dumps(document), flush=True)
        return
    for link, count in capture.counts.items():
        console.print(
            f"{link}: {count.to_host} bytes from it, {count.to_device} to it, "
            f"{count.messages} messages",
            markup=False,
            highlight=False,
        )
    if capture.lost:
        console.print(f"{capture.lost} chunks came faster than they could be written")
    console.print(
        f"record: {arguments.out}; telerig wires show {arguments.out}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "." for c in text)[:LAST_CHARACTERS]


def _duration(text: str) -> float:
    try:
        value = DURATION.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 60s or 10min, found {text!r}"
        ) from error
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a time above 0, found {text!r}")
    return value


COMMAND = CaptureCommand()
