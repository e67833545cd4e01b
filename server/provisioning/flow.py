"""Provisioning from the first word to the first reading, whatever the transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server.provisioning.client import DeviceClient, Network, WifiState, check_network
from server.provisioning.errors import (
    BadAnswer,
    DeviceUnreachable,
    ProvisionError,
    RequestRefused,
)
from server.provisioning.gateway_api import Credentials, GatewayUnreachable, Registrar
from server.provisioning.session import DeviceVersion, SecureSession
from server.provisioning.transport import Transport

POLL_S = 1.0
DISCONNECTED_LIMIT = 3
LOST = (DeviceUnreachable, BadAnswer, RequestRefused)
HERE_ONLY = ("localhost", "127.", "[::1]", "0.0.0.0")


@dataclass(frozen=True)
class Wanted:
    """What the user asked for.

    Attributes:
        user: at the device.
        password: of that user.
        ssid: network to join; None: the user chooses among those that the device hears.
        passphrase: of the network; None: ask where it needs one.
        gateway_url: as the device shall use it; None: Wi-Fi only.
        device: id at the gateway.
        vin: of its vehicle, if known.
        device_key: given by hand; None: the registrar makes one.
        scan_only: only look for networks.
        allow_patch_0: speak also with firmware whose nonces repeat.
        timeout_s: for Wi-Fi, and again for the first reading.
    """

    user: str
    password: str
    ssid: str | None = None
    passphrase: str | None = None
    gateway_url: str | None = None
    device: str = ""
    vin: str | None = None
    device_key: str | None = None
    scan_only: bool = False
    allow_patch_0: bool = False
    timeout_s: float = 120.0


@dataclass(frozen=True)
class User:
    """How to speak with the person at the terminal.

    Attributes:
        tell: shows a line.
        choose: lets one network be chosen; raises ProvisionError where nobody is there.
        ask_passphrase: asks for the passphrase of a network.
    """

    tell: Callable[[str], None]
    choose: Callable[[Sequence[Network]], Network]
    ask_passphrase: Callable[[str], str]


@dataclass
class Outcome:
    """What was achieved."""

    version: DeviceVersion | None = None
    networks: list[Network] = field(default_factory=list)
    ssid: str | None = None
    connected: bool = False
    address: str = ""
    device: str | None = None
    key_id: int | None = None
    first_reading: bool | None = None


class Provisioning:
    """One device, provisioned step by step.

    Args:
        transport: way to the device.
        wanted: what the user asked for.
        user: whom to tell and to ask.
        registrar: where the device gets its key; None without a gateway, or with a key by hand.
        sleep, monotonic: time.
    """

    def __init__(
        self,
        transport: Transport,
        wanted: Wanted,
        user: User,
        registrar: Registrar | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport, self._wanted, self._user = transport, wanted, user
        self._registrar = registrar
        self._sleep, self._monotonic = sleep, monotonic
        self._credentials: Credentials | None = None
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Do all of it.

        Raises:
            ProvisionError: with the next step for the user. A key that was minted in vain is
                revoked.
        """
        device = self._open()
        ssid, passphrase = self._network(device)
        if self._wanted.scan_only:
            return self.outcome
        check_network(ssid, passphrase)
        self._credentials = self._key()
        try:
            self._configure(device, ssid, passphrase)
        except BaseException:
            self._take_back()
            raise
        self._wait_for_reading()
        return self.outcome

    # --- session ---

    def _open(self) -> DeviceClient:
        session = SecureSession(
            self._transport,
            self._wanted.user,
            self._wanted.password,
            allow_patch_0=self._wanted.allow_patch_0,
            tell=self._user.tell,
            sleep=self._sleep,
        )
        version = session.open()
        if self.outcome.version is None:
            self.outcome.version = version
            self._user.tell(
                f"device: provisioning {version.version}, security {version.security} "
                f"patch {version.patch}; session open as {self._wanted.user}"
            )
            if version.patch == 0:
                self._user.tell("warning: patch 0 repeats its nonce; a listener can read along")
        return DeviceClient(session, self._transport.networks_per_answer)

    # --- network ---

    def _network(self, device: DeviceClient) -> tuple[str, str]:
        wanted = self._wanted
        security = None
        assert self.outcome.version is not None
        if wanted.scan_only or wanted.ssid is None:
            if "wifi_scan" not in self.outcome.version.capabilities:
                raise ProvisionError("this device cannot scan for networks: give one with --ssid")
            self.outcome.networks = device.scan()
            for line in table(self.outcome.networks):
                self._user.tell(line)
            if wanted.scan_only:
                return "", ""
        ssid = wanted.ssid
        if ssid is None:
            chosen = self._user.choose(self.outcome.networks)
            ssid, security = chosen.ssid, chosen.auth_mode
        if wanted.passphrase is not None:
            return ssid, wanted.passphrase
        return ssid, "" if security == 0 else self._user.ask_passphrase(ssid)

    # --- gateway ---

    def _key(self) -> Credentials | None:
        wanted = self._wanted
        if wanted.gateway_url is None:
            return None
        if wanted.gateway_url.partition("://")[2].startswith(HERE_ONLY):
            self._user.tell(
                f"warning: for the device, {wanted.gateway_url} is the device itself; give the "
                "address by which it reaches the gateway, unless both run on this computer"
            )
        if wanted.device_key is not None or self._registrar is None:
            return Credentials(wanted.device, wanted.device_key or "")
        credentials = self._registrar.register(wanted.device, wanted.vin)
        how = "has a new key" if credentials.known_before else "is registered"
        self._user.tell(f"gateway: {wanted.device} {how} (key {credentials.key_id})")
        self.outcome.key_id = credentials.key_id
        return credentials

    def _take_back(self) -> None:
        if self._registrar is None or self._credentials is None:
            return
        if self._credentials.key_id is None:
            return
        try:
            self._registrar.revoke(self._credentials)
        except ProvisionError:
            self._user.tell(
                f"warning: key {self._credentials.key_id} of {self._credentials.device} was made "
                "and not used; revoke it at the gateway"
            )

    # --- device ---

    def _configure(self, device: DeviceClient, ssid: str, passphrase: str) -> None:
        if self._credentials is not None:
            assert self._wanted.gateway_url is not None
            device.set_gateway(
                self._wanted.gateway_url, self._credentials.device, self._credentials.key
            )
            self.outcome.device = self._credentials.device
            self._user.tell(f"device: sends to {self._wanted.gateway_url} from now on")
        device.set_network(ssid, passphrase)
        self.outcome.ssid = ssid
        self._user.tell(f"Wi-Fi: joining {ssid}")
        self._wait_for_wifi(device)

    def _wait_for_wifi(self, device: DeviceClient) -> None:
        deadline = self._monotonic() + self._wanted.timeout_s
        told, restarts = "", 0
        while self._monotonic() < deadline:
            self._sleep(POLL_S)
            try:
                state = device.wifi_state()
            except LOST as error:
                # The device's own network may change its channel, or close when all is done.
                if self._has_reading():
                    self.outcome.connected = True
                    return
                if told != str(error):
                    told = str(error)
                    self._user.tell(f"Wi-Fi: lost the device for a moment ({error})")
                device = self._reopen() or device
                continue
            if state.state == "connected":
                self.outcome.connected, self.outcome.address = True, state.address
                where = f" with address {state.address}" if state.address else ""
                self._user.tell(f"Wi-Fi: connected{where}")
                return
            if state.state == "failed":
                self._wifi_failed(device, state)
            restarts = restarts + 1 if state.state == "disconnected" else 0
            if restarts == DISCONNECTED_LIMIT:
                raise ProvisionError(
                    "the device does not try to join any more: it may have restarted, and has "
                    "forgotten the network; try again"
                )
            line = _progress(state)
            if line != told:
                told = line
                self._user.tell(line)
        raise ProvisionError(
            f"the device did not join {self.outcome.ssid!r} within {self._wanted.timeout_s:g} s; "
            "is it near the access point? try again, or give a longer --timeout"
        )

    def _reopen(self) -> DeviceClient | None:
        try:
            return self._open()
        except LOST:
            return None

    def _wifi_failed(self, device: DeviceClient, state: WifiState) -> None:
        try:
            device.forget_network()
        except LOST:
            self._user.tell("warning: the device did not answer when told to forget the network")
        next_step = {
            "wrong passphrase": "give the right passphrase",
            "network not found": "check the name (--scan shows what the device hears; "
            "an ESP32 hears 2.4 GHz only)",
        }.get(state.reason, "look at the device's console")
        raise ProvisionError(
            f"the device could not join {self.outcome.ssid!r}: {state.reason}; {next_step} "
            "and try again"
        )

    # --- first reading ---

    def _has_reading(self) -> bool:
        if self._registrar is None or self._credentials is None:
            return False
        if self._credentials.key_id is None:
            return False
        try:
            return self._registrar.has_reading(self._credentials)
        except GatewayUnreachable:
            return False

    def _wait_for_reading(self) -> None:
        if self._credentials is None:
            return
        if self._registrar is None or self._credentials.key_id is None:
            self._user.tell("gateway: not asked for the first reading (the key was given by hand)")
            return
        self._user.tell(
            "gateway: waiting for the first reading (if this computer is still in the device's "
            "own network, go back to yours now)"
        )
        deadline = self._monotonic() + self._wanted.timeout_s
        while not self._has_reading():
            if self._monotonic() >= deadline:
                self.outcome.first_reading = False
                raise ProvisionError(
                    f"the device is in the network, and no reading of it reached the gateway "
                    f"within {self._wanted.timeout_s:g} s; can it reach "
                    f"{self._wanted.gateway_url}? is the ignition on? its console tells more"
                )
            self._sleep(POLL_S)
        self.outcome.first_reading = True
        self._user.tell("gateway: the first reading is there")
        if self._credentials.older:
            self._end_older(self._registrar, self._credentials)

    def _end_older(self, registrar: Registrar, credentials: Credentials) -> None:
        numbers = ", ".join(map(str, credentials.older))
        try:
            registrar.end_older(credentials)
        except ProvisionError:
            self._user.tell(f"warning: older keys still work: {numbers}; revoke them")
        else:
            self._user.tell(f"gateway: older keys are ended: {numbers}")


def _progress(state: WifiState) -> str:
    if state.attempts_remaining is not None:
        return f"Wi-Fi: an attempt failed, {state.attempts_remaining} left"
    return f"Wi-Fi: {state.state}"


def table(networks: Sequence[Network]) -> list[str]:
    """Give the networks as lines of a table, numbered from 1."""
    if not networks:
        return ["the device hears no network"]
    names = [_shown(network.ssid) for network in networks]
    width = max(len("network"), *map(len, names))
    lines = [f" nr  {'network':<{width}}  channel   dBm  security"]
    for number, (name, network) in enumerate(zip(names, networks, strict=True), 1):
        lines.append(
            f"{number:>3}  {name:<{width}}  {network.channel:>7}  {network.rssi_dbm:>4}"
            f"  {network.security}"
        )
    return lines


def _shown(ssid: str) -> str:
    """Give a network's name so that it cannot disturb the terminal."""
    return "".join(c if c.isprintable() else "?" for c in ssid) or "(hidden)"
