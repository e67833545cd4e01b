"""The command `telerig replay`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from server.devices.client import DEFAULT_URL
from server.errors import ServerError

HELP_EXIT = "exit code: 0 played to the end, 1 a gateway does not answer or refuses, 2 wrong usage"


class ReplayCommand:
    """Play a recorded drive again, as a live stream: to the screen, or into another gateway.

    The drive comes from a running gateway (--url). With --to it goes to another one (or the same),
    which takes it for a device that drives now: register that device there and name its key. Each
    reading is sent once and kept once, also where an answer was lost on the way; a second run of
    the command is a second drive.

    examples:
      telerig replay 7                                  messages as JSON lines
      telerig replay 7 --speed 10 --form points
      telerig replay 7 --to http://other:8000 --key vtg_dev_… --speed 10
      telerig replay 7 --to http://other:8000 --times now     measured now, as it were

    TELERIG_API_SECRET is the gateway's [api] secret, where it asks for it; TELERIG_DEVICE_KEY is
    taken for --key.
    """

    help = "play a recorded drive again, also into another gateway"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.epilog = HELP_EXIT
        parser.add_argument("session", nargs="?", type=int, help="number (telerig sessions)")
        parser.add_argument("--device", help="all of a device, instead of one session")
        parser.add_argument("--speed", type=_speed, default=1.0, help="0.1 to 100 (1)")
        parser.add_argument("--start", metavar="TIME", help="earliest instant, ISO 8601")
        parser.add_argument("--end", metavar="TIME", help="first instant not wanted, ISO 8601")
        parser.add_argument(
            "--signal", action="append", default=[], help="only this one; several times for more"
        )
        parser.add_argument("--to", metavar="URL", help="the gateway that gets it")
        parser.add_argument("--key", help="of the device there (default: TELERIG_DEVICE_KEY)")
        parser.add_argument(
            "--times",
            choices=("original", "now"),
            default="original",
            help="instants that the other gateway is told: those of then (original), or now",
        )
        parser.add_argument(
            "--form", choices=("rows", "points"), default="rows", help="of the messages (rows)"
        )
        parser.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of the gateway that has the drive (TELERIG_URL, else {DEFAULT_URL})",
        )
        parser.add_argument("--secret", help="API secret (default: TELERIG_API_SECRET)")
        parser.add_argument("--json", action="store_true", help="say what was done as JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Play; give the exit code."""
        from server.replay.sending import Played, UsageError, play

        def show(played: Played) -> None:
            print(f"\r{played.line}", end="", file=sys.stderr, flush=True)

        is_shown = bool(args.to) and not args.json and sys.stderr.isatty()
        try:
            if (args.session is None) == (args.device is None):
                raise UsageError("expected the number of a session, or --device; see --help")
            key = args.key or os.environ.get("TELERIG_DEVICE_KEY", "")
            if args.to and not key:
                raise UsageError("expected the key of a device of the other gateway: --key")
            secret = args.secret or os.environ.get("TELERIG_API_SECRET", "")
            played = play(
                args.url, secret, _query(args), args.to, key,
                is_now=args.times == "now",
                show=show if is_shown else lambda played: None,
            )  # fmt: skip
        except ServerError as error:
            print(f"telerig replay: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            # Who read the standard output has enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if args.json:
            print(json.dumps(played.as_json()), file=sys.stdout if args.to else sys.stderr)
        elif args.to:
            print(("\n" if is_shown else "") + played.line, file=sys.stderr)
        return 0


COMMAND = ReplayCommand()


def _query(args: argparse.Namespace) -> dict[str, Any]:
    found = {
        "session": args.session,
        "device": args.device,
        "speed": args.speed,
        "start": args.start,
        "end": args.end,
        "signal": args.signal,
        "form": "rows" if args.to else args.form,
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.1 <= speed <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 0.1 to 100, found {text!r}")
    return speed
