"""One device being provisioned by the gateway: a thread, and what can be seen of it."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import structlog

from server.clock import Clock
from server.provisioning.client import Network
from server.provisioning.errors import ProvisionError
from server.provisioning.flow import Outcome, Provisioning, User, Wanted
from server.provisioning.gateway_api import Registrar
from server.provisioning.transport import Transport

CHOICE_LIMIT_S = 600.0
LINES_LIMIT = 200
HIDDEN = 3
"""Authentication mode of a network that is named and not heard: WPA2, so that it is asked for."""

log = structlog.get_logger("telerig.provisioning")


class JobState(enum.StrEnum):
    """How far it is."""

    RUNNING = "running"
    CHOOSING = "choosing"
    """Somebody has to say which network."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


Step = Literal["device", "network", "gateway", "wifi", "reading", "end"]


class Line(msgspec.Struct, frozen=True):
    """What was said, and when."""

    time_ns: int
    text: str


class HeardNetwork(msgspec.Struct, frozen=True):
    """A Wi-Fi network that the device hears; `open` ones have no passphrase."""

    ssid: str
    channel: int
    rssi_dbm: int
    security: str
    open: bool


class JobShown(msgspec.Struct, frozen=True):
    """A device being provisioned, or how that ended.

    Attributes:
        id: number, as long as the gateway runs.
        state: running, choosing (a network is waited for), done, failed, cancelled.
        step: what it is or was at: device (finding it and proving the password), network,
            gateway (its key), wifi, reading (waiting for the first one), end.
        way: http, serial or ble.
        address: of the device.
        lines: what was said so far.
        networks: that the device hears, the strongest first; empty before it was asked.
        version: of the device's provisioning protocol.
        ssid: network that it was given.
        connected: it has joined it.
        ip: its address there, where it says so.
        device: its id at this gateway.
        first_reading: has come; null where it is not waited for.
        error: why it failed, with what to do; empty where it did not.
    """

    id: int
    state: JobState
    step: Step
    way: str
    address: str
    lines: list[Line]
    networks: list[HeardNetwork]
    version: str
    ssid: str | None
    connected: bool
    ip: str
    device: str | None
    first_reading: bool | None
    error: str


class _Cancelled(Exception):  # noqa: N818 (no error: somebody wanted it)
    """Somebody has ended it."""


class Job:
    """Provisions one device in a thread of its own.

    Args:
        number: of the job.
        way, address: to the device.
        wanted: what is to be done.
        transport: opens the way; called in the thread.
        registrar: gives the device its key; None without a gateway.
        clock: of the lines.
    """

    def __init__(
        self,
        number: int,
        way: str,
        address: str,
        wanted: Wanted,
        transport: Callable[[], Transport],
        registrar: Registrar | None,
        clock: Clock,
    ) -> None:
        self.number, self.way, self.address = number, way, address
        self._wanted, self._transport, self._registrar = wanted, transport, registrar
        self._clock = clock
        self._lines: list[Line] = []
        self._networks: Sequence[Network] = ()
        self._outcome = Outcome()
        self._state = JobState.RUNNING
        self._error = ""
        self._stop = threading.Event()
        self._chosen = threading.Event()
        self._choice: tuple[str, str] | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"provisioning {number}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Nothing more happens."""
        return not self._thread.is_alive() and self._thread.ident is not None

    @property
    def is_choosing(self) -> bool:
        """A network is waited for."""
        return self._state is JobState.CHOOSING

    def choose(self, ssid: str, passphrase: str) -> None:
        """Say which network the device shall join."""
        self._choice = (ssid, passphrase)
        self._state = JobState.RUNNING
        self._chosen.set()

    def cancel(self) -> None:
        """End it as soon as the device lets us; a key that was made in vain is revoked."""
        self._stop.set()
        self._chosen.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def shown(self) -> JobShown:
        """Give what can be seen of it; never a password."""
        outcome = self._outcome
        return JobShown(
            self.number,
            self._state,
            self._step,
            self.way,
            self.address,
            list(self._lines),
            [_heard(one) for one in self._networks or outcome.networks],
            outcome.version.version if outcome.version is not None else "",
            outcome.ssid,
            outcome.connected,
            outcome.address,
            outcome.device,
            outcome.first_reading,
            self._error,
        )

    @property
    def _step(self) -> Step:
        outcome = self._outcome
        if self._state is JobState.DONE:
            return "end"
        if outcome.version is None:
            return "device"
        if self._wanted.ssid is None and self._choice is None:
            return "network"
        if outcome.ssid is None:
            return "gateway" if self._wanted.gateway_url else "wifi"
        return "reading" if outcome.connected else "wifi"

    # In the thread.

    def _run(self) -> None:
        try:
            self._provision()
        except _Cancelled:
            self._end(JobState.CANCELLED, "")
        except ProvisionError as error:
            self._end(JobState.CANCELLED if self._stop.is_set() else JobState.FAILED, str(error))
        except Exception as error:  # at the end of a thread; else it would look as if it went on
            log.exception("provisioning failed", way=self.way)
            self._end(
                JobState.FAILED, f"a fault of the gateway ({type(error).__name__}): see its log"
            )
        else:
            self._end(JobState.DONE, "")

    def _provision(self) -> None:
        transport = self._transport()
        try:
            user = User(self._tell, self._choose, self._passphrase)
            flow = Provisioning(transport, self._wanted, user, self._registrar, sleep=self._sleep)
            self._outcome = flow.outcome
            flow.run()
        finally:
            transport.close()

    def _end(self, state: JobState, error: str) -> None:
        self._error = in_words(error)
        self._state = state

    def _tell(self, text: str) -> None:
        self._check()
        if len(self._lines) < LINES_LIMIT:
            self._lines.append(Line(self._clock.now_ns(), in_words(text)))

    def _choose(self, networks: Sequence[Network]) -> Network:
        if not networks:
            self._tell("the device hears no network; its name can be typed")
        self._networks = networks
        self._state = JobState.CHOOSING
        if not self._chosen.wait(CHOICE_LIMIT_S):
            raise ProvisionError(f"no network was chosen within {CHOICE_LIMIT_S:g} s: begin again")
        self._check()
        assert self._choice is not None
        ssid = self._choice[0]
        for network in networks:
            if network.ssid == ssid:
                return network
        return Network(ssid, "", 0, 0, HIDDEN)

    def _passphrase(self, ssid: str) -> str:
        return self._choice[1] if self._choice is not None else ""

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Cancelled


_OPTIONS = {
    "give one with --ssid": "give its name",
    "--ssid": "the network's name",
    "--user, --password": "user and password",
    "--scan shows": "the list shows",
    "give a longer --timeout": "give it more time",
    "--allow-patch-0": "the switch for old firmware",
    "without --gateway": "without a gateway",
    "--gateway": "the gateway's address",
}
"""What the flow calls by the options of its command, and a page does not."""


def in_words(text: str) -> str:
    """Give a message without the options of the command line."""
    for option, words in _OPTIONS.items():
        text = text.replace(option, words)
    return text


def _heard(network: Network) -> HeardNetwork:
    return HeardNetwork(
        network.ssid, network.channel, network.rssi_dbm, network.security, network.auth_mode == 0
    )
