"""`telerig`: finds its subcommands by entry point, and loads only the one that was asked for.

Any installed package may add a command: an object in the entry point group `telerig.commands` with
`help` (one line), `add_arguments(parser)` and `run(arguments) -> exit code`; its docstring is what
`--help` shows. So the gateway's machine loads no simulator, and the rig loads no web pages.

What a user can cause ends in one line on standard error: wrong words and files with exit code 2,
what failed with 1, Ctrl-C with 130 and a signal with 128 plus its number.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from types import FrameType
from typing import NoReturn, Protocol

from rig.errors import RigError
from rig.standard_streams import discard_output, open_standard_streams

EXIT_FAILED = 1
EXIT_USAGE = 2
SIGNAL_EXIT_BASE = 128  # what shells add to a signal's number
GROUP = "telerig.commands"
TRACEBACK_VARIABLE = "TELERIG_TRACEBACK"
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)

EPILOG = """\
start here:
  telerig demo                                drive three scenarios, see the verdict and a report
  telerig run scenarios/idle.scenario.yaml    one scenario
  telerig device obd                          an ELM327 with a car behind it, for any client
  telerig serve --config gateway.toml         the gateway, as in production
  telerig COMMAND --help                      what a command takes, with examples

exit code: 0 passed, 1 failed, 2 wrong usage or a wrong file, 130 Ctrl-C, 143 SIGTERM
"""


class Command(Protocol):
    """What an entry point of the group offers."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: unwind as for Ctrl-C, so that nothing is left running."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where to read on."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    open_standard_streams()
    unsupported = _unsupported()
    if unsupported:
        _complain("telerig", unsupported)
        return EXIT_USAGE
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in arguments if not word.startswith("-")), "")
    prog = f"telerig {name}".strip()
    try:
        with _signals_unwind():
            code = _run(arguments, name)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        _complain(prog, "interrupted")
        return SIGNAL_EXIT_BASE + signal.SIGINT
    except Terminated as error:
        _complain(prog, f"ended by {signal.Signals(error.number).name}")
        return SIGNAL_EXIT_BASE + error.number
    except RigError as error:
        _complain(prog, str(error))
        return EXIT_USAGE if error.usage else EXIT_FAILED
    except OSError as error:
        # A reader of our output that has gone (`| head`) is within its rights. Nothing of the
        # output may be left for the interpreter to write at its end, where it would fail again.
        discard_output()
        if not isinstance(error, BrokenPipeError):
            _complain(prog, f"expected to read and write files, found: {error}; free space there?")
        return EXIT_FAILED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        found = " ".join(f"{type(error).__name__}: {error}".split())
        _complain(
            prog,
            f"a mistake in telerig itself: {found}; please report it with what "
            f"{TRACEBACK_VARIABLE}=1 adds",
        )
        return EXIT_FAILED


def _unsupported() -> str:
    """Why this machine cannot be used; empty if it can."""
    if not sys.platform.startswith("linux"):
        return (
            "expected Linux (it needs PTYs, poll and process groups), "
            f"found {sys.platform}; use a Linux machine, a virtual machine or WSL 2"
        )
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        oldest, newest, found = (
            ".".join(map(str, numbers))
            for numbers in (OLDEST_PYTHON, NEWEST_PYTHON, sys.version_info[:3])
        )
        return (
            f"expected Python {oldest} to {newest}, found {found}; "
            f"make the environment with another: python{newest} -m venv .venv"
        )
    return ""


def _run(arguments: Sequence[str], name: str) -> int:
    commands = {point.name: point for point in entry_points(group=GROUP)}
    if name and name not in commands:
        _complain("telerig", _unknown(name, commands))
        return EXIT_USAGE
    parser = _parser(commands, only=name)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        place = f"telerig {name}".strip()
        kind = "an option of its own" if unknown[0].startswith("-") else "no further word"
        _complain(place, f"expected {kind}, found {unknown[0]!r}; see {place} --help")
        return EXIT_USAGE
    if not hasattr(options, "command_object"):
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    command: Command = options.command_object
    return command.run(options)


def _unknown(name: str, commands: Mapping[str, EntryPoint]) -> str:
    close = difflib.get_close_matches(name, commands, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return (
        f"expected a command of {', '.join(sorted(commands))}; found {name!r}; "
        f"{hint}see telerig --help"
    )


def _parser(commands: Mapping[str, EntryPoint], only: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog="telerig",
        description="A hardware-in-the-loop rig for vehicle telemetry, and the gateway it tests.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"telerig {version('telerig')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in [only] if only else sorted(commands):
        try:
            command: Command = commands[name].load()
        except ImportError as error:
            command = _Unavailable(name, error)
        subparser = subparsers.add_parser(
            name,
            help=command.help,
            description=inspect.cleandoc(command.__doc__ or command.help),
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
            f"expected the package {error.name!r} to be installed, found none; "
            "install the extra that brings it, or everything: pip install 'telerig[all]'"
        )
        self._name = name

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("ignored", nargs=argparse.REMAINDER)

    def run(self, arguments: argparse.Namespace) -> int:
        _complain(f"telerig {self._name}", self._text)
        return EXIT_USAGE


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, until a command sets handlers of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise Terminated(number)

    before = {
        number: signal.signal(number, unwind)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain(prog: str, text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"{prog}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
