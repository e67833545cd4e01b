"""`telerig`: finds its subcommands by entry point, and loads only the one that was asked for.

Any installed package may add a command: an object in the entry point group `telerig.commands` with
`help` (one line), `add_arguments(parser)` and `run(arguments) -> exit code`. So the gateway's
machine loads no simulator, and the rig loads no web pages.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Protocol

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
GROUP = "telerig.commands"

EPILOG = """\
start here:
  telerig demo                         drive idle, cruise and hard_driving, see the verdict
  telerig run scenarios/idle.scenario.yaml
  telerig device obd                   an ELM327 with a car behind it, for any client
  telerig serve --config gateway.toml  the gateway, as in production
  telerig COMMAND --help               what a command takes, with examples

exit code: 0 passed, 1 failed, 2 wrong usage or a wrong file.
"""


class Command(Protocol):
    """What an entry point of the group offers."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; never shows a traceback for what a user can cause."""
    if not sys.platform.startswith("linux"):
        print(
            f"telerig: expected Linux (it needs PTYs, poll and network namespaces), "
            f"found {sys.platform}; use a Linux machine, a virtual machine or WSL 2",
            file=sys.stderr,
        )
        return EXIT_USAGE
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {point.name: point for point in entry_points(group=GROUP)}
    name = next((word for word in arguments if not word.startswith("-")), None)
    parser = _parser(commands, only=name if name in commands else None)
    options = parser.parse_args(arguments)
    if not hasattr(options, "command_object"):
        parser.print_help()
        return EXIT_USAGE
    command: Command = options.command_object
    try:
        return command.run(options)
    except KeyboardInterrupt:
        print("telerig: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _parser(commands: dict[str, EntryPoint], only: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="telerig",
        description="A hardware-in-the-loop rig for vehicle telemetry, and the gateway it tests.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"telerig {version('telerig')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in sorted(commands) if only is None else [only]:
        try:
            command: Command = commands[name].load()
        except ImportError as error:
            _add_unavailable(subparsers, name, error)
            continue
        subparser = subparsers.add_parser(
            name,
            help=command.help,
            description=command.__doc__ or command.help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(command_object=command)
    return parser


class _Unavailable:
    """Stands for a command whose packages are not installed."""

    help = "(not installed)"

    def __init__(self, name: str, error: ImportError) -> None:
        self._text = (
            f"telerig {name}: expected the package {error.name!r} to be installed; "
            "install the extra that brings it, or everything: pip install 'telerig[all]'"
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("ignored", nargs=argparse.REMAINDER)

    def run(self, arguments: argparse.Namespace) -> int:
        print(self._text, file=sys.stderr)
        return EXIT_USAGE


def _add_unavailable(subparsers: object, name: str, error: ImportError) -> None:
    command = _Unavailable(name, error)
    subparser = subparsers.add_parser(name, help=command.help)  # type: ignore[attr-defined]
    command.add_arguments(subparser)
    subparser.set_defaults(command_object=command)


if __name__ == "__main__":
    sys.exit(main())
