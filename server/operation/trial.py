"""The command `telerig test`: what a gateway delivers, measured from outside for a while."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from server.devices.cli import table
from server.devices.client import LOCAL, UsageError
from server.errors import ServerError
from server.operation.place import secret_of

if TYPE_CHECKING:
    from server.config import GatewayConfig

PATIENCE_S = 15.0
LONGEST_S = 86_400.0
SIMULATED = """
[http]
port = 0
[users]
local_role = "viewer"
[pipeline]
publish_ms = 20
[links.simulated]
kind = "synthetic"
"""


class TrialError(ServerError):
    """The gateway does not let itself be listened to."""


class Trial:
    """What came over the live stream.

    Attributes:
        counts: readings by signal id.
        latencies_ms: from a reading's arrival at the gateway to here.
        stored_ms: from there to the word that it is stored.
        dropped: frames that this listener was too slow for.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.counts: dict[int, int] = {}
        self.latencies_ms: list[float] = []
        self.stored_ms: list[float] = []
        self.dropped = 0
        self.failing = ""
        self.links: dict[str, str] = {}
        self._waiting: list[tuple[int, int]] = []
        self._device = ""

    def take(self, frame: Mapping[str, Any], now_ns: int) -> None:
        """Take a frame of the stream."""
        match frame.get("type"):
            case "hello":
                self.names = {int(key): name for key, name in frame["signals"].items()}
                self._device = frame["device"]
            case "readings":
                self._readings(frame, now_ns)
            case "stored" if frame.get("device") == self._device and "first" not in frame:
                kept = [one for one in self._waiting if one[0] > frame["upto"]]
                self.stored_ms += [
                    (now_ns - received_ns) / 1e6
                    for seq, received_ns in self._waiting
                    if seq <= frame["upto"]
                ]
                self._waiting = kept
            case "link":
                self.links[frame["name"]] = frame["state"]
            case "store":
                self.failing = frame["reason"] if frame["state"] != "ok" else ""
            case "dropped":
                self.dropped += frame["count"]

    def _readings(self, frame: Mapping[str, Any], now_ns: int) -> None:
        last: tuple[int, int] | None = None
        for seq, signal, _, _, received_ns, *_ in frame["readings"]:
            self.counts[signal] = self.counts.get(signal, 0) + 1
            self.latencies_ms.append((now_ns - received_ns) / 1e6)
            last = seq, received_ns
        # One of each frame is enough to see how long a commit takes.
        if last is not None and frame.get("device") == self._device:
            self._waiting.append(last)

    def report(self, duration_s: float, ready: Mapping[str, Any]) -> dict[str, Any]:
        """Give what was found, for people and machines."""
        readings = sum(self.counts.values())
        problems = []
        if not readings:
            problems.append("no reading came: is a link up? see telerig doctor")
        if self.dropped:
            problems.append(f"this listener was too slow for {self.dropped} frames")
        if self.failing or not ready.get("ready"):
            reason = self.failing or ready.get("database", {}).get("reason") or "not ready"
            problems.append(f"the store fails: {reason}")
        links = {**ready.get("links", {}), **self.links}
        problems += [f"link {name} is {state}" for name, state in links.items() if state != "up"]
        return {
            "ok": not problems,
            "problems": problems,
            "duration_s": round(duration_s, 3),
            "readings": readings,
            "readings_per_s": round(readings / duration_s, 1),
            "latency_ms": _quantiles(self.latencies_ms),
            "stored_ms": _quantiles(self.stored_ms),
            "dropped_frames": self.dropped,
            "links": links,
            "signals": {
                self.names.get(signal, str(signal)): round(count / duration_s, 2)
                for signal, count in sorted(self.counts.items())
            },
        }


class TestCommand:
    """Listen to a gateway for a while, and say what it delivers: rates, latency, commits.

    With --url (or TELERIG_URL) it listens to a gateway that runs, and changes nothing. Without, it
    starts one of its own beside, on a database that is thrown away, with a car that does not exist:
    sixteen signals at 10 Hz. No adapter is touched.

    examples:
      telerig test
      telerig test --duration 60 --url http://127.0.0.1:8000

    exit code: 0 all is well, 1 something is not, 2 wrong usage
    """

    help = "measure what a gateway delivers, with a simulated car or a running one"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--duration", type=float, default=10.0, metavar="SECONDS", help="(10)")
        parser.add_argument("--url", default=os.environ.get("TELERIG_URL"), help="of a gateway")
        parser.add_argument("--secret", help="API secret (default: TELERIG_API_SECRET)")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Listen, and say what came; give the exit code."""
        try:
            if not 0 < args.duration <= LONGEST_S:
                raise UsageError(f"expected seconds up to {LONGEST_S:g}, found {args.duration:g}")
            found = (
                asyncio.run(_listen(args.url, secret_of(args), args.duration))
                if args.url
                else _simulated(args.duration)
            )
        except ServerError as error:
            print(f"telerig test: {error}", file=sys.stderr)
            return error.exit_code
        print(json.dumps(found, indent=2) if args.json else _shown(found))
        return 0 if found["ok"] else 1


COMMAND = TestCommand()


async def _listen(url: str, secret: str, duration_s: float) -> dict[str, Any]:
    """Listen to the live stream of a gateway.

    Raises:
        TrialError: it does not answer, or refuses.
    """
    import websockets
    from websockets.asyncio.client import connect

    from server.operation.health import ask

    headers = {"X-API-Key": secret} if secret else {}
    trial = Trial()
    target = f"{url.rstrip('/').replace('http', 'ws', 1)}/api/v1/live"
    try:
        async with connect(
            target,
            additional_headers=headers,
            open_timeout=PATIENCE_S,
            ssl=_tls(target),
            proxy=None if urlsplit(target).hostname in LOCAL else True,
        ) as socket:
            async with asyncio.timeout(PATIENCE_S):
                trial.take(json.loads(await socket.recv()), 0)
            began_s = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(duration_s):
                    async for text in socket:
                        trial.take(json.loads(text), time.time_ns())
            took_s = time.monotonic() - began_s
    except (OSError, websockets.WebSocketException, ValueError, KeyError) as error:
        if isinstance(error, websockets.InvalidStatus) and error.response.status_code == 401:
            expected = "the gateway's API secret in TELERIG_API_SECRET"
            found = "another" if secret else "none"
            raise TrialError(f"expected {expected}, found {found}") from None
        raise TrialError(f"expected a gateway's live stream at {target}, got: {error}") from None
    told = await asyncio.to_thread(ask, url.rstrip("/"), "/ready")
    try:
        ready = json.loads(told)
    except ValueError:
        ready = {"ready": False, "database": {"reason": told}}
    return trial.report(took_s, ready)


def _tls(target: str) -> ssl.SSLContext | None:
    return ssl.create_default_context() if target.startswith("wss:") else None


def _simulated(duration_s: float) -> dict[str, Any]:
    """Listen to a gateway that is started for it."""
    from server.errors import EmbeddedPostgresError
    from server.links.registry import BUILT_IN
    from server.logs import configure_logs
    from server.store.embedded import EmbeddedPostgres

    BUILT_IN.setdefault("synthetic", "server.operation.synthetic:SyntheticLink")
    configure_logs(level="error")
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(EmbeddedPostgres(durable=True)).start()
        except EmbeddedPostgresError:
            url = ""  # live only, then
        return asyncio.run(_serve_and_listen(url, duration_s))


async def _serve_and_listen(database_url: str, duration_s: float) -> dict[str, Any]:
    from server.config import parse_config

    text = SIMULATED if database_url else f"{SIMULATED}[database]\nenabled = false\n"
    config = parse_config(text, "simulated", {})
    if database_url:
        config = config.with_database_url(database_url)
    async with _served(config) as url:
        return await _listen(url, "", duration_s)


@contextlib.asynccontextmanager
async def _served(config: GatewayConfig) -> AsyncIterator[str]:
    from server.gateway import Gateway
    from server.serve import serve

    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result))
    either: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield (await ready).url
    finally:
        stop.set()
        await task


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if len(values) < 2:
        return None
    cuts = statistics.quantiles(values, n=100)
    return {
        "p50": round(cuts[49], 2),
        "p95": round(cuts[94], 2),
        "p99": round(cuts[98], 2),
        "max": round(max(values), 2),
    }


def _shown(found: Mapping[str, Any]) -> str:
    lines = [
        f"{found['readings']} readings in {found['duration_s']:.1f} s, "
        f"{found['readings_per_s']:g} a second",
        table(
            ("ms", "p50", "p95", "p99", "max"),
            [
                (name, *(f"{found[key][q]:.2f}" for q in ("p50", "p95", "p99", "max")))
                for name, key in (("reading to here", "latency_ms"), ("to stored", "stored_ms"))
                if found[key]
            ],
        ),
        table(("signal", "Hz"), [(name, f"{hz:g}") for name, hz in found["signals"].items()]),
        *(f"PROBLEM: {problem}" for problem in found["problems"]),
        "all is well" if found["ok"] else "something is wrong",
    ]
    return "\n".join(lines)
