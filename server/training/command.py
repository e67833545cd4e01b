"""The command `telerig codec`: train profiles, measure them, try a drive."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.training.drives import Drive
    from server.training.measure import Figures
    from server.wire.codec.profile import Profile

EXAMPLE = """\
drives: tables of values (.csv, .csv.gz) with a heading and a column of times, or matrices of
sensor steps (.npz: x, names, scale, offset, dt). FILE@first and FILE@second are halves.

  telerig codec train monday.csv tuesday.csv.gz -o car.profile
  telerig codec measure car.profile wednesday.csv
  telerig codec try drive.csv                 (train on the first half, measure the second)
  telerig codec train drive.csv -o car.profile --bound "Speed=0.5" --bound "RPM=20"

Exit code 1: what came back was not what was sent; 2: a file or an argument is wrong.
"""
_SIGNAL_NAMES = 18


class CodecCommand:
    """`telerig codec`: the packet codec on one's own drives."""

    help = "train the packet codec on drives, and measure what it sends"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommands."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLE
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        train = actions.add_parser("train", help="make a profile from drives")
        train.add_argument("files", nargs="+", metavar="FILE", help="drives of one car and plan")
        train.add_argument(
            "-o", "--output", type=Path, required=True, metavar="PROFILE", help="where it goes"
        )
        measure = actions.add_parser("measure", help="tell what drives cost with a profile")
        measure.add_argument("profile", type=Path, metavar="PROFILE", help="made by train")
        measure.add_argument("files", nargs="+", metavar="FILE", help="drives")
        attempt = actions.add_parser("try", help="train and measure in one go")
        attempt.add_argument("files", nargs="+", metavar="FILE", help="drives to measure")
        attempt.add_argument(
            "--train", action="append", default=[], metavar="FILE", help="drives to train on"
        )
        for action in (train, attempt):
            action.add_argument(
                "--bound",
                action="append",
                default=[],
                metavar="NAME=UNITS",
                help="largest error of a signal (none: exact)",
            )
            action.add_argument(
                "--flash-bytes", type=int, default=32768, metavar="N", help="size of a profile"
            )
        for action in (measure, attempt):
            action.add_argument(
                "--packet-bytes", type=int, default=231, metavar="N", help="longest packet"
            )
            action.add_argument("--json", action="store_true", help="print JSON, not a table")

    def run(self, args: argparse.Namespace) -> int:
        """Do what is asked; give the exit code."""
        from importlib.util import find_spec

        if find_spec("numpy") is None:
            print(
                "telerig codec: numpy is not installed (pip install telerig[rig])", file=sys.stderr
            )
            return 2
        from server.errors import ServerError
        from server.training.learning import TrainingError
        from server.training.measure import MeasureError
        from server.wire.codec.profile import ProfileError

        actions = {"train": _train, "measure": _measure, "try": _try}
        try:
            return actions[args.action](args)
        except (ServerError, TrainingError, ProfileError, OSError) as error:
            print(f"telerig codec: {error}", file=sys.stderr)
            return 2
        except MeasureError as error:
            print(f"telerig codec: a defect of the codec: {error}", file=sys.stderr)
            return 1


COMMAND = CodecCommand()


class _Progress:
    """Says on standard error what is done, in one line where that is a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._what = ""

    def __call__(self, what: str, part: float) -> None:
        if self._live:
            print(f"\r{what}: {100 * part:3.0f} %\x1b[K", end="", file=sys.stderr, flush=True)
        elif what != self._what:
            print(what, file=sys.stderr, flush=True)
        self._what = what

    def end(self) -> None:
        """Leave a clean line."""
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _load(files: Sequence[str], like: Drive | None = None) -> list[Drive]:
    from server.training.drives import load

    drives: list[Drive] = []
    for file in files:
        drive = load(file, like)
        like = like or drive
        drives.append(drive)
        for note in drive.notes:
            print(f"{drive.name}: {note}", file=sys.stderr)
    return drives


def _trained(drives: Sequence[Drive], bounds: Sequence[str], flash_bytes: int) -> Profile:
    from server.training.drives import DriveError
    from server.training.learning import train

    first = drives[0]
    signals = first.signals()
    for text in bounds:
        name, _, units = text.rpartition("=")
        if name not in first.columns:
            raise DriveError(
                f"--bound {text}: NAME=UNITS expected, with one of: {', '.join(first.columns)}"
            )
        index = first.columns.index(name)
        try:
            signals[index].bound = int(float(units) / float(first.steps[index]) + 1e-9)
        except ValueError:
            raise DriveError(f"--bound {text}: a number expected, found {units!r}") from None
    progress = _Progress()
    profile = train(
        [drive.rows for drive in drives],
        signals,
        period_ms=first.period_ms,
        flash_bytes=flash_bytes,
        report=progress,
    )
    progress.end()
    return profile


def _train(args: argparse.Namespace) -> int:
    drives = _load(args.files)
    profile = _trained(drives, args.bound, args.flash_bytes)
    data = profile.to_bytes()
    args.output.write_bytes(data)
    rows = sum(len(drive.rows) for drive in drives)
    print(
        f"{args.output}: {len(data)} bytes, hash {profile.hash.hex()}, "
        f"{len(profile.signals)} signals, trained on {rows} rows"
    )
    return 0


def _measure(args: argparse.Namespace) -> int:
    from server.wire.codec.profile import Profile

    profile = Profile.from_bytes(args.profile.read_bytes())
    return _show(profile, _load(args.files, _known(args.files, profile)), args)


def _known(files: Sequence[str], profile: Profile) -> Drive:
    """Give a drive with the profile's steps, so that all files are read in these."""
    from fractions import Fraction

    from server.training.drives import DriveError, load

    drive = load(files[0])
    if len(drive.columns) != len(profile.signals):
        raise DriveError(
            f"{files[0]}: the profile's {len(profile.signals)} signals expected, "
            f"found {len(drive.columns)}"
        )
    drive.steps = [Fraction(s.scale_num, s.scale_den) for s in profile.signals]
    drive.offsets = [Fraction(s.offset_num, s.offset_den) for s in profile.signals]
    return drive


def _try(args: argparse.Namespace) -> int:
    halves = not args.train
    training = _load([f"{file}@first" for file in args.files] if halves else args.train)
    tested = [f"{file}@second" for file in args.files] if halves else args.files
    profile = _trained(training, args.bound, args.flash_bytes)
    return _show(profile, _load(tested, training[0]), args)


def _show(profile: Profile, drives: Sequence[Drive], args: argparse.Namespace) -> int:
    from server.training.measure import Figures, measure

    progress = _Progress()
    found: list[Figures] = []
    for kind in "KD":
        total = Figures("all: " + ", ".join(drive.name for drive in drives), kind)
        for drive in drives:
            figures = measure(profile, drive, kind, limit_bytes=args.packet_bytes, report=progress)
            found.append(figures)
            total.add(figures)
        if len(drives) > 1:
            found.append(total)
    progress.end()
    if args.json:
        print(json.dumps([figures.as_json() for figures in found], indent=1))
    else:
        print(table(found))
    return 0


def table(found: Sequence[Figures]) -> str:
    """Give the figures as text."""
    from server.training.measure import Figures

    lines = [
        f"{'drive':24} kind  bit/reading  bit/event  byte/min  readings/packet"
        "  x double  x JSON  x protobuf  over limit  us enc/dec"
    ]
    for figures in found:
        f = figures.as_json()
        excess = f["excess_over_limit"]
        over = f"{100 * excess:+.1f} %" if isinstance(excess, float) else "-"
        lines.append(
            f"{figures.name[:24]:24} {figures.kind:4} {f['bits_per_reading']:12.4f} "
            f"{f['bits_per_event']:10.2f} {f['bytes_per_minute']:9.0f} "
            f"{f['readings_per_packet']:16.0f} {f['ratio_to_double']:9.1f} "
            f"{f['ratio_to_json']:7.1f} {f['ratio_to_protobuf']:11.1f} {over:>11} "
            f"{f['encode_us_per_reading']:6.1f}/{f['decode_us_per_reading']:.1f}"
        )
    errors = Figures("", "")
    for figures in found:
        errors.add(figures)
    worst = [f"{name[:_SIGNAL_NAMES]} {error:g}" for name, error in errors.max_error.items()]
    lines.append(
        "every reading came back: "
        + ("exact" if not worst else "largest errors " + ", ".join(sorted(worst)))
    )
    return "\n".join(lines)
