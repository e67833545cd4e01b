"""The gateway's side of provisioning: register the device, mint its key, see its first reading."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Protocol

from server.provisioning.errors import ProvisionError, printable

TIMEOUT_S = 15.0
ANSWER_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device needs to send to the gateway.

    Attributes:
        device: its id.
        key: sent with every request.
        key_id: by which the key can be revoked; None for a key that was given by hand.
        since_ns: the gateway's UTC when the key was made.
        known_before: the device was registered already, so readings may be there.
        older: ids of keys that the device had before and that still work.
    """

    device: str
    key: str
    key_id: int | None = None
    since_ns: int = 0
    known_before: bool = False
    older: tuple[int, ...] = ()


class Registrar(Protocol):
    """Who registers devices."""

    def register(self, device: str, vin: str | None) -> Credentials:
        """Register a device, or mint another key for one that is registered."""
        ...

    def revoke(self, credentials: Credentials) -> None:
        """End a key that is of no use."""
        ...

    def has_reading(self, credentials: Credentials) -> bool:
        """Say whether a reading has come since the key was made."""
        ...

    def end_older(self, credentials: Credentials) -> None:
        """End the keys that the device had before."""
        ...


class GatewayUnreachable(ProvisionError):  # noqa: N818 (as in server.errors)
    """There is no connection to the gateway."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API secret goes to the address that the user named and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class GatewayApi:
    """The registry of a gateway over HTTP.

    Args:
        url: of the gateway.
        secret: the operator's API secret.
    """

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._secret = url.rstrip("/"), secret
        self._opener = urllib.request.build_opener(_NoRedirect)

    def register(self, device: str, vin: str | None) -> Credentials:
        """Register a device, or mint another key for one that is registered."""
        body = {"id": device} if vin is None else {"id": device, "vin": vin}
        status, answer = self._ask("POST", "/api/v1/devices", body)
        known_before = status == http.client.CONFLICT
        if known_before:
            rotated, other = self._ask("POST", f"{self._path(device)}/keys", {"overlap_s": None})
            if rotated != http.client.NOT_FOUND:  # else the id is taken by no device
                status, answer = rotated, other
        if status != http.client.CREATED:
            raise self._refused(status, answer, f"to register {device!r}")
        key, key_id = answer.get("key"), answer.get("key_id")
        if not isinstance(key, str) or not isinstance(key_id, int):
            raise self._strange("a key", answer)
        made_ns, older = self._keys(device, key_id)
        return Credentials(device, key, key_id, made_ns, known_before, older)

    def revoke(self, credentials: Credentials) -> None:
        """End a key that is of no use."""
        self._ask("DELETE", f"{self._path(credentials.device)}/keys/{credentials.key_id}")

    def end_older(self, credentials: Credentials) -> None:
        """End the keys that the device had before: it has shown that it uses the new one."""
        for key_id in credentials.older:
            self._ask("DELETE", f"{self._path(credentials.device)}/keys/{key_id}")

    def has_reading(self, credentials: Credentials) -> bool:
        """Say whether a reading has come since the key was made."""
        query = {"limit": "1"}
        if credentials.known_before:
            query["start_ns"] = str(credentials.since_ns)
        path = f"{self._path(credentials.device)}/history?{urllib.parse.urlencode(query)}"
        status, answer = self._ask("GET", path)
        if status != http.client.OK:
            raise self._refused(status, answer, "to show the device's readings")
        return bool(answer.get("readings"))

    def _keys(self, device: str, key_id: int) -> tuple[int, tuple[int, ...]]:
        """Give when a key was made, and the other live keys of its device."""
        _, answer = self._ask("GET", self._path(device))
        keys = answer.get("keys")
        made_ns, older = 0, []
        for key in keys if isinstance(keys, list) else ():
            if not isinstance(key, dict) or not isinstance(key.get("id"), int):
                continue
            if key["id"] != key_id:
                older += [key["id"]] if key.get("live") is True else []
            elif isinstance(key.get("made_ns"), int):
                made_ns = key["made_ns"]
        return made_ns, tuple(older)

    @staticmethod
    def _path(device: str) -> str:
        return f"/api/v1/devices/{urllib.parse.quote(device, safe='')}"

    def _ask(
        self, method: str, path: str, body: dict[str, str] | dict[str, None] | None = None
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": self._secret, "Content-Type": "application/json"},
            method=method,
        )
        try:
            try:
                with self._opener.open(request, timeout=TIMEOUT_S) as response:
                    return response.status, self._read(response.read(ANSWER_LIMIT_BYTES))
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, self._read(error.read(ANSWER_LIMIT_BYTES))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise GatewayUnreachable(
                f"expected the gateway at {self._url}, found: "
                f"{printable(str(reason).encode('utf-8', 'replace'))}; is it running, and is this "
                "computer in a network that reaches it?"
            ) from None

    def _read(self, text: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        return answer if isinstance(answer, dict) else {}

    def _refused(self, status: int, answer: dict[str, Any], what: str) -> ProvisionError:
        told = str(answer.get("detail") or answer.get("error") or "")
        if "where" in answer:
            told = f"{answer['where']}: expected {answer.get('expected')}, "
            told += f"found {answer.get('found')}"
        next_step = (
            "give the API secret of the gateway (TELERIG_API_SECRET)"
            if status == http.client.UNAUTHORIZED
            else "see its log"
        )
        shown = printable(told.encode("utf-8", "replace"), 300)
        return ProvisionError(
            f"the gateway at {self._url} refused {what}: status {status}"
            f"{', ' + shown if shown else ''}; {next_step}"
        )

    def _strange(self, expected: str, answer: dict[str, Any]) -> ProvisionError:
        return ProvisionError(
            f"expected {expected} from {self._url}, got an answer with {sorted(answer)[:5]}; "
            "is this a telerig gateway?"
        )
