"""`telerig cut`: a window of a recorded run as a scenario of its own."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rig.quantity import DURATION, QuantityError

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)")


class CutCommand:
    """Cut a window out of a recorded run into a new scenario file: a regression test.

    The car drives the window again as it truly drove it then, at once or after an approach at its
    speed; faults, limits and checks of the window come along. Times are those of views and reports:
    since the run's start, lead-in included.

    examples:
      telerig cut last --from 1:40 --to 3:20 --name tunnel_at_speed
      telerig cut runs/RUN --from '95 s' --to '130 s' --name lost_fix --folder scenarios
      telerig run scenarios/tunnel_at_speed.scenario.yaml

    exit code: 0 written, 2 no such run, or a window, a name or a folder that cannot be used
    """

    help = "cut a window of a recorded run into a new scenario file"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "run_name",
            metavar="RUN",
            help="a run's folder, its name in the runs folder, or `last`",
        )
        parser.add_argument(
            "--from", dest="start_s", type=_instant, required=True, metavar="TIME",
            help="where it begins: 1:40, or '100 s'",
        )  # fmt: skip
        parser.add_argument(
            "--to", dest="end_s", type=_instant, required=True, metavar="TIME", help="where it ends"
        )
        parser.add_argument("--name", required=True, help="of the new file, without its suffix")
        parser.add_argument(
            "--folder", type=Path, metavar="DIR", help="where it goes (beside the run's own file)"
        )
        parser.add_argument(
            "--runs",
            type=Path,
            default=Path("runs"),
            metavar="DIR",
            help="where records are (runs/)",
        )
        parser.add_argument("--json", action="store_true", help="print the path as JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        import msgspec

        from rig.record.folders import find_run
        from rig.record.reader import RecordReader
        from rig.scenario.cut import cut_scenario

        record = RecordReader(find_run(arguments.run_name, arguments.runs))
        path = cut_scenario(
            record,
            arguments.start_s,
            arguments.end_s,
            name=arguments.name,
            folder=arguments.folder,
        )
        if arguments.json:
            print(msgspec.json.encode({"scenario": str(path)}).decode())
        else:
            print(f"{path}: run it with `telerig run {path}`")
        return 0


def _instant(text: str) -> float:
    """Read "1:40", "1:02:03.5" or a duration such as "100 s"."""
    clock = _CLOCK.fullmatch(text.strip())
    if clock is not None:
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    try:
        return DURATION.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 1:40 or '100 s', found {text!r}"
        ) from error


COMMAND = CutCommand()
