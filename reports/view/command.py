"""The command `telerig view`."""

from __future__ import annotations

import argparse
import json
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.view.beside import PagesBeside

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8050
DEFAULT_RUNS = Path("runs")


class ViewCommand:
    """Show recorded and running runs, and a gateway, in the browser. Ctrl-C ends it.

    examples:
      telerig view                              the runs in ./runs
      telerig view DIR                          the runs in another folder
      telerig view --gateway http://car:8000    a gateway: live, sessions, devices, alerts
      telerig view DIR --gateway URL            both
      telerig view --host 0.0.0.0               also for other machines, a phone for example

    The pages come from this machine, and nothing is fetched from anywhere else. A gateway's API is
    reached through here, with its own users and roles; runs can be seen by whoever reaches the
    address.

    exit code: 0 ended, 1 the port is busy, 2 no such folder or a wrong address
    """

    help = "show runs and a gateway in the browser, live and replayed"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument(
            "runs",
            nargs="?",
            type=Path,
            metavar="DIR",
            help="folder of runs (./runs; none with --gateway)",
        )
        parser.add_argument(
            "--gateway", metavar="URL", help="gateway whose API is shown, http://HOST:PORT"
        )
        parser.add_argument(
            "--host", default=DEFAULT_HOST, help="address to listen on (127.0.0.1: this machine)"
        )
        parser.add_argument(
            "--port", type=int, default=DEFAULT_PORT, help="port to listen on (8050; 0: a free one)"
        )
        parser.add_argument("--open", action="store_true", help="open it in the browser")
        parser.add_argument(
            "--json", action="store_true", help="say where it listens as one line of JSON"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Serve until Ctrl-C."""
        from reports.view.errors import ViewError

        try:
            from reports.view.proxy import GatewayAddress
            from reports.view.server import Wanted, serve
        except ModuleNotFoundError as error:
            raise ViewError(
                f"expected the package {error.name!r}, which pages are made with, found none; "
                "install it: pip install 'telerig[view]'",
                usage=True,
            ) from error
        gateway = None if arguments.gateway is None else GatewayAddress.parse(arguments.gateway)
        runs = arguments.runs
        if runs is None and gateway is None:
            runs = DEFAULT_RUNS

        def told(url: str) -> None:
            text = json.dumps({"url": url}) if arguments.json else f"telerig view: {url}"
            print(text, flush=True)
            if arguments.open:
                # Browsers of a terminal keep it until they are closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        serve(Wanted(runs, gateway, arguments.host, arguments.port), told)
        return 0

    def beside(self, runs: Path, port: int | None, stop: Callable[[Path], bool]) -> PagesBeside:
        """Serve the runs of a folder beside something else, for `telerig run --view`."""
        from reports.view.beside import PagesBeside

        return PagesBeside(runs, port, DEFAULT_PORT, stop)


COMMAND = ViewCommand()
