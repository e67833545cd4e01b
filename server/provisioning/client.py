"""What can be asked of a device in a secure session: networks, Wi-Fi, the gateway's data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import BadAnswer, ProvisionError, RequestRefused, printable
from server.provisioning.session import SecureSession

SSID_LIMIT_BYTES = 32
PASSPHRASE_BYTES = range(8, 64)
NETWORKS_LIMIT = 100
AUTH_MODES = ("open", "WEP", "WPA", "WPA2", "WPA/WPA2", "WPA2-EAP", "WPA3", "WPA2/WPA3")

_Message = TypeVar("_Message", pb.Config, pb.Scan, pb.Control)


@dataclass(frozen=True, slots=True)
class Network:
    """A Wi-Fi network that the device hears."""

    ssid: str
    bssid: str
    channel: int
    rssi_dbm: int
    auth_mode: int

    @property
    def security(self) -> str:
        """Name of the authentication mode."""
        known = 0 <= self.auth_mode < len(AUTH_MODES)
        return AUTH_MODES[self.auth_mode] if known else f"mode {self.auth_mode}"


@dataclass(frozen=True, slots=True)
class WifiState:
    """How the device fares in joining its network.

    Attributes:
        state: "connected", "connecting", "disconnected" or "failed".
        reason: of a failure: "wrong passphrase" or "network not found"; else empty.
        address: IPv4 address when connected and known.
        attempts_remaining: after a failed attempt; None otherwise.
    """

    state: str
    reason: str = ""
    address: str = ""
    attempts_remaining: int | None = None


_STATES = {
    pb.WifiStatus.CONNECTED: "connected",
    pb.WifiStatus.CONNECTING: "connecting",
    pb.WifiStatus.DISCONNECTED: "disconnected",
    pb.WifiStatus.CONNECTION_FAILED: "failed",
}
_REASONS = {
    pb.WifiStatus.AUTH_ERROR: "wrong passphrase",
    pb.WifiStatus.NETWORK_NOT_FOUND: "network not found",
}


def check_network(ssid: str, passphrase: str) -> None:
    """Refuse what no Wi-Fi network can have.

    Raises:
        ProvisionError: name or passphrase is too long, too short or missing.
    """
    if not 0 < len(ssid.encode()) <= SSID_LIMIT_BYTES:
        raise ProvisionError(
            f"--ssid: expected 1 to {SSID_LIMIT_BYTES} bytes, got {len(ssid.encode())}"
        )
    if passphrase and len(passphrase.encode()) not in PASSPHRASE_BYTES:
        raise ProvisionError(
            "passphrase: expected 8 to 63 bytes (or none for an open network), "
            f"got {len(passphrase.encode())}"
        )


class DeviceClient:
    """Speaks with the endpoints behind a session.

    Args:
        session: that is open.
        networks_per_answer: how many networks of a scan fit into one answer.
    """

    def __init__(self, session: SecureSession, networks_per_answer: int) -> None:
        self._session, self._page = session, networks_per_answer

    def scan(self) -> list[Network]:
        """Let the device look for networks, strongest first."""
        request = pb.Scan(type=pb.Scan.START)
        # Five channels at a time: in between the device keeps its own network alive for us.
        request.start.blocking, request.start.group_channels = True, 5
        request.start.period_ms = 120
        self._scan(request, "started")
        status = self._scan(
            pb.Scan(type=pb.Scan.GET_STATUS, get_status=pb.Nothing()), "status"
        ).status
        found: list[Network] = []
        count = min(status.count, NETWORKS_LIMIT)
        while len(found) < count:
            request = pb.Scan(type=pb.Scan.GET_RESULT)
            request.get_result.start = len(found)
            request.get_result.count = min(count - len(found), self._page)
            page = self._scan(request, "result").result.networks
            if not page:
                break
            found += [_network(network) for network in page]
        return sorted(found[:count], key=lambda network: -network.rssi_dbm)

    def set_network(self, ssid: str, passphrase: str) -> None:
        """Tell the device its network, and let it join."""
        check_network(ssid, passphrase)
        if self.wifi_state().state == "failed":
            self.forget_network()  # ESP-IDF takes another network only after that
        request = pb.Config(type=pb.Config.SET_NETWORK)
        request.set_network.ssid = ssid.encode()
        request.set_network.passphrase = passphrase.encode()
        _succeeded("prov-config", self._config(request, "network_set").network_set.status)
        request = pb.Config(type=pb.Config.APPLY, apply=pb.Nothing())
        _succeeded("prov-config", self._config(request, "applied").applied.status)

    def wifi_state(self) -> WifiState:
        """Ask how the device fares with its network."""
        request = pb.Config(type=pb.Config.GET_STATUS, get_status=pb.Nothing())
        status = self._config(request, "status").status
        _succeeded("prov-config", status.status)
        state = _STATES.get(status.state, "disconnected")
        reason = _REASONS.get(status.reason, "unknown reason") if state == "failed" else ""
        address = status.connected.ip4_address if status.HasField("connected") else ""
        left = (
            status.attempt_failed.attempts_remaining if status.HasField("attempt_failed") else None
        )
        known = printable(address.encode(), 15) if address != "0.0.0.0" else ""
        return WifiState(state, reason, known, left)

    def forget_network(self) -> None:
        """Let the device forget the network, so that another one can be set."""
        request = pb.Control(type=pb.Control.RESET, reset=pb.Nothing())
        answer = _read(
            pb.Control, "prov-ctrl", self._session.request("prov-ctrl", request.SerializeToString())
        )
        _succeeded("prov-ctrl", answer.status)

    def set_gateway(self, url: str, device: str, key: str) -> None:
        """Tell the device where to send, as whom and with which key."""
        body = json.dumps({"url": url, "device": device, "key": key}).encode()
        try:
            answer = self._session.request("custom-data", body)
        except RequestRefused as refused:
            if refused.status != 404:
                raise
            raise ProvisionError(
                "the device's firmware takes no gateway (it has no endpoint custom-data); "
                "provision it without --gateway, or load telerig's firmware"
            ) from None
        try:
            told = json.loads(answer)
            status, detail = told["status"], str(told.get("detail", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            status, detail = "", f"answered {printable(answer, 60)!r}"
        if status != "ok":
            raise ProvisionError(
                "the device did not take the gateway's data: "
                f"{printable(detail.encode('utf-8', 'replace'))}; check --gateway and the key"
            )

    def _scan(self, request: pb.Scan, wanted: str) -> pb.Scan:
        plain = self._session.request("prov-scan", request.SerializeToString())
        answer = _read(pb.Scan, "prov-scan", plain)
        _succeeded("prov-scan", answer.status_code)
        return _of_kind(answer, "prov-scan", wanted)

    def _config(self, request: pb.Config, wanted: str) -> pb.Config:
        plain = self._session.request("prov-config", request.SerializeToString())
        return _of_kind(_read(pb.Config, "prov-config", plain), "prov-config", wanted)


def _read(kind: type[_Message], endpoint: str, plain: bytes) -> _Message:
    message = kind()
    try:
        message.MergeFromString(plain)
    except DecodeError:
        raise BadAnswer(
            f"{endpoint}: expected a protobuf message, got {len(plain)} bytes of something else; "
            "is this an ESP32 in provisioning mode?"
        ) from None
    return message


def _of_kind(answer: _Message, endpoint: str, wanted: str) -> _Message:
    # An answer without contents may leave its member of the oneof out.
    found = answer.WhichOneof("payload") or wanted
    if found != wanted:
        raise BadAnswer(f"{endpoint}: expected {wanted}, got {found}; start again")
    return answer


def _succeeded(endpoint: str, status: int) -> None:
    if status != pb.SUCCESS:
        known = status in pb.Status.values()
        name = pb.Status.Name(status) if known else "unknown"
        raise ProvisionError(
            f"{endpoint}: the device refused with status {status} ({name.lower()}); "
            "check --ssid and the passphrase, or restart the device and try again"
        )


def _network(network: pb.Network) -> Network:
    return Network(
        network.ssid.decode("utf-8", "replace"),
        network.bssid.hex(":"),
        network.channel,
        network.rssi_dbm,
        network.auth_mode,
    )
