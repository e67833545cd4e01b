"""A secure session with a device: protocomm Security 2."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import BadAnswer, ProvisionError, RequestRefused, printable
from server.provisioning.srp6a import ForbiddenKeyError, Srp6aClient

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from server.provisioning.transport import Transport

SECURITY_VERSION = 2
NONCE_BYTES = 12
CIPHER_KEY_BYTES = 32
SALT_LIMIT_BYTES = 64
COUNTER_END = 1 << 32
BUSY_WAIT_S = 60
TOO_MANY_REQUESTS, BUSY = 429, 503


@dataclass(frozen=True, slots=True)
class DeviceVersion:
    """What a device says of itself before any session.

    Attributes:
        version: of its provisioning protocol.
        security: scheme: 0 none, 1 X25519 with AES-CTR, 2 SRP6a with AES-GCM.
        patch: of the scheme; with 2.0 every message has the same nonce.
        capabilities: such as `wifi_scan`.
    """

    version: str
    security: int
    patch: int
    capabilities: tuple[str, ...]


def read_version(answer: bytes) -> DeviceVersion:
    """Read the answer of `proto-ver`; missing numbers are those of the oldest firmware.

    Raises:
        BadAnswer: it is neither JSON of the known form nor a plain version.
    """
    text = answer.rstrip(b"\0").decode("utf-8", "replace").strip()
    if not text.startswith("{"):
        return DeviceVersion(printable(answer, 20), 1, 0, ())
    try:
        prov = json.loads(text)["prov"]
        capabilities = tuple(str(name) for name in prov.get("cap", ()))
        fallback = 0 if "no_sec" in capabilities else 1
        security, patch = int(prov.get("sec_ver", fallback)), int(prov.get("sec_patch_ver", 0))
        version = printable(str(prov.get("ver", "")).encode("utf-8", "replace"), 20)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadAnswer(
            "proto-ver: expected {'prov': {'ver', 'sec_ver', 'cap'}}, "
            f"got {printable(answer, 60)!r}; is this an ESP32 in provisioning mode?"
        ) from None
    return DeviceVersion(version, security, patch, capabilities)


class SecureSession:
    """Proves the password, then seals what goes out and opens what comes in.

    Args:
        transport: way to the device.
        user: name at the device.
        password: of that user.
        random: gives so many random bytes.
        allow_patch_0: speak also with firmware that uses each nonce again and again.
        tell: called with a line for the user while the device keeps us waiting.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        transport: Transport,
        user: str,
        password: str,
        *,
        random: Callable[[int], bytes] = os.urandom,
        allow_patch_0: bool = False,
        tell: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._user, self._password = user.encode(), password.encode()
        self._random, self._allow_patch_0 = random, allow_patch_0
        self._tell, self._sleep = tell, sleep
        self._cipher: AESGCM | None = None
        self._prefix = b""
        self._step = 1
        self.counter = 0

    def version(self) -> DeviceVersion:
        """Ask the device what it speaks."""
        return read_version(self._transport.exchange("proto-ver", b"---"))

    def open(self) -> DeviceVersion:
        """Check the version and make the session.

        Raises:
            ProvisionError: the scheme is not safe, the password is wrong, the device is busy or
                is not the one that it claims to be.
        """
        version = self.version()
        self._check(version)
        self._step = version.patch
        srp = self._shake(strip=True)
        if srp is not None and srp.zeros_met:
            # About one session in 128: a number began with a zero byte, which implementations
            # hash in different ways. With fresh numbers, and the other way, it may fit.
            srp = self._shake(strip=False)
        if srp is not None:
            raise ProvisionError(
                f"the device refused user {self._user.decode()!r} with this password; check both "
                "(label or manual of the device, --user, --password) and try again"
            )
        return version

    def _check(self, version: DeviceVersion) -> None:
        if version.security != SECURITY_VERSION:
            raise ProvisionError(
                f"expected a device with security scheme 2, found scheme {version.security}; "
                "that one is not spoken here: build its firmware with protocomm_security2"
            )
        if version.patch not in (0, 1):
            raise ProvisionError(
                f"expected patch version 0 or 1 of security scheme 2, found {version.patch}; "
                "use a newer telerig"
            )
        if version.patch == 0 and not self._allow_patch_0:
            raise ProvisionError(
                "the device has patch version 0 of security scheme 2, which uses the same nonce "
                "for every message, so that a listener can read and forge them; update its "
                "firmware (ESP-IDF from March 2025 on), or accept the risk with --allow-patch-0"
            )

    def _shake(self, *, strip: bool) -> Srp6aClient | None:
        """Do the handshake; give the exchange when the device refused our proof, else None."""
        srp = Srp6aClient(self._user, self._password, self._random, strip=strip)
        request = pb.Session(security_version=SECURITY_VERSION)
        request.handshake.type = pb.Handshake.HELLO
        request.handshake.hello.username = self._user
        request.handshake.hello.public_key = srp.public
        answer = self._handshake(self._begin(request), "hello_answer").hello_answer
        if answer.status != pb.SUCCESS or not 0 < len(answer.salt) <= SALT_LIMIT_BYTES:
            raise BadAnswer(
                f"prov-session: expected success and a salt, got status {answer.status} and "
                f"{len(answer.salt)} bytes of salt; restart the device and try again"
            )
        try:
            proof = srp.proof(answer.salt, answer.public_key)
        except ForbiddenKeyError as error:
            raise BadAnswer(
                f"prov-session: {error}; this is not the device that it claims to be"
            ) from None
        request = pb.Session(security_version=SECURITY_VERSION)
        request.handshake.type = pb.Handshake.PROOF
        request.handshake.proof.proof = proof
        try:
            told = self._transport.exchange("prov-session", request.SerializeToString())
        except RequestRefused as refused:
            if refused.status in (0, 500):
                return srp
            raise
        self._finish(srp, self._handshake(told, "proof_answer").proof_answer)
        return None

    def _begin(self, request: pb.Session) -> bytes:
        """Send the first message; wait for a device that is busy with another client."""
        body = request.SerializeToString()
        waited_s = 0
        while True:
            try:
                return self._transport.exchange("prov-session", body)
            except RequestRefused as refused:
                if refused.status == TOO_MANY_REQUESTS:
                    raise ProvisionError(
                        "the device takes no more passwords for now: too many wrong ones; try "
                        f"again in {refused.retry_after_s or 'some'} s with the right one"
                    ) from None
                if refused.status != BUSY:
                    raise ProvisionError(
                        f"the device refused to begin a session ({refused}); "
                        "restart it and try again"
                    ) from None
                pause_s = min(refused.retry_after_s or 5, BUSY_WAIT_S)
                if waited_s + pause_s > BUSY_WAIT_S:
                    raise ProvisionError(
                        "another client is provisioning this device; end that one, or restart "
                        "the device, and try again"
                    ) from None
            self._tell(f"another client is provisioning the device: waiting {pause_s} s")
            self._sleep(pause_s)
            waited_s += pause_s

    def _handshake(self, answer: bytes, wanted: str) -> pb.Handshake:
        try:
            message = pb.Session.FromString(answer)
        except DecodeError:
            message = pb.Session()
        if (
            message.security_version != SECURITY_VERSION
            or message.handshake.WhichOneof("payload") != wanted
        ):
            raise BadAnswer(
                f"prov-session: expected {wanted}, got something else "
                f"({len(answer)} bytes); restart the device and try again"
            )
        handshake: pb.Handshake = message.handshake
        return handshake

    def _finish(self, srp: Srp6aClient, answer: pb.ProofAnswer) -> None:
        if answer.status != pb.SUCCESS or not srp.check(answer.proof):
            raise BadAnswer(
                "the device accepted our password and could not prove that it knows it: this is "
                "not the device that it claims to be; disconnect from it"
            )
        counter = int.from_bytes(answer.nonce[8:], "big")
        if len(answer.nonce) != NONCE_BYTES or counter == 0:
            raise BadAnswer(
                f"prov-session: expected a nonce of {NONCE_BYTES} bytes with a counter above 0, "
                f"got {answer.nonce.hex() or 'none'}; restart the device and try again"
            )
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(srp.key[:CIPHER_KEY_BYTES])
        self._prefix, self.counter = answer.nonce[:8], counter

    def request(self, endpoint: str, plain: bytes) -> bytes:
        """Send a sealed request and give the plain answer.

        Raises:
            RequestRefused: the device says no.
            BadAnswer: the answer was altered, or is not the next one.
            DeviceUnreachable: the way to the device is gone.
        """
        from cryptography.exceptions import InvalidTag

        assert self._cipher is not None, "open() comes first"
        sealed = self._cipher.encrypt(self._next(), plain, None)
        answer = self._transport.exchange(endpoint, sealed)
        try:
            # One attempt: after a wrong answer nothing of this session can be trusted.
            return self._cipher.decrypt(self._next(), answer, None)
        except (InvalidTag, ValueError):
            raise BadAnswer(
                f"{endpoint}: expected the next sealed answer of this session, got "
                f"{len(answer)} bytes that are altered, cut or old; start again"
            ) from None

    def _next(self) -> bytes:
        """Give the nonce of the next message; with patch 1 none is given twice."""
        if self.counter >= COUNTER_END:
            raise ProvisionError("the session's nonces are used up; start again")
        nonce = self._prefix + self.counter.to_bytes(4, "big")
        self.counter += self._step
        return nonce
