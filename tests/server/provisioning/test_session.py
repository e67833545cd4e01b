"""The client's session: versions, passwords, nonces, devices that lie."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from firmware_stubs.provisioning import core, security2
from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import BadAnswer, ProvisionError, RequestRefused
from server.provisioning.session import COUNTER_END, SecureSession, read_version
from tests.firmware.provisioning.board import Board, Rig
from tests.firmware.provisioning.direct import PASSWORD, USER, DirectTransport, opened, session


def version(**prov: object) -> str:
    """Write the answer of proto-ver."""
    return json.dumps({"prov": {"ver": "v1.1", "cap": ["wifi_scan"], **prov}})


@pytest.mark.parametrize(
    ("answer", "security", "patch"),
    [
        (version(sec_ver=2, sec_patch_ver=1), 2, 1),
        (version(sec_ver=2), 2, 0),
        (version(sec_ver="2", sec_patch_ver="1") + "\0", 2, 1),
        (version(), 1, 0),
        (version(cap=["no_sec"]), 0, 0),
        ("V0.1", 1, 0),
    ],
)
def test_versions_of_old_and_new_firmware_are_read(answer: str, security: int, patch: int) -> None:
    """What is missing is what the oldest firmware had."""
    found = read_version(answer.encode())
    assert (found.security, found.patch) == (security, patch)


@pytest.mark.parametrize(
    "answer",
    [b"{", b"{}", b'{"prov": 1}', b'{"prov": {"sec_ver": []}}', b'{"a":' * 5000],
)
def test_an_answer_that_is_no_version_is_refused(answer: bytes) -> None:
    """One line that says what was expected."""
    with pytest.raises(BadAnswer, match="proto-ver: expected"):
        read_version(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (version(sec_ver=0), "found scheme 0"),
        (version(sec_ver=1), "found scheme 1"),
        (version(sec_ver=2, sec_patch_ver=2), "found 2; use a newer telerig"),
        (version(sec_ver=2, sec_patch_ver=0), "--allow-patch-0"),
        (version(sec_ver=2), "--allow-patch-0"),
    ],
)
def test_unsafe_and_unknown_schemes_are_not_spoken(
    monkeypatch: pytest.MonkeyPatch, answer: str, reason: str
) -> None:
    """The password is not even used."""
    monkeypatch.setattr(core, "VERSION_TEXT", answer)
    rig = Rig()
    made = session(rig)
    with pytest.raises(ProvisionError, match=reason):
        made.open()
    assert [path for _, _, path, _ in rig.board.requests] == []
    assert len(rig.board.replies) == 1


def test_patch_0_is_spoken_when_the_user_takes_the_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no nonce counts, on either side."""
    monkeypatch.setattr(core, "VERSION_TEXT", version(sec_ver=2, sec_patch_ver=0))
    for name in ("seal", "unseal"):
        original = getattr(security2.Security2, name)

        def still(self: security2.Security2, data: bytes, do: Callable = original) -> bytes:  # type: ignore[type-arg]
            done: bytes = do(self, data)
            self.counter = 1
            return done

        monkeypatch.setattr(security2.Security2, name, still)
    made = SecureSession(DirectTransport(Rig()), USER, PASSWORD, allow_patch_0=True)
    made.open()
    for _ in range(3):
        assert made.request("custom-data", b"{}")
    assert made.counter == 1


def test_the_counter_goes_up_with_every_message() -> None:
    """Two for each request: one sealed, one opened."""
    made = opened(Rig())
    assert made.counter == 1
    for count in (3, 5, 7):
        made.request("custom-data", b"{}")
        assert made.counter == count


def test_no_nonce_is_used_twice_even_after_a_refusal() -> None:
    """A refused request has used its nonce; the device counts on only for what it opened."""
    made = opened(Rig())
    with pytest.raises(RequestRefused):
        made.request("prov-config", pb.Config(type=pb.Config.STATUS).SerializeToString())
    assert made.counter == 2
    assert made.request("custom-data", b"{}")


def test_the_session_ends_before_a_nonce_would_come_again() -> None:
    """One clear line instead of a nonce that wraps."""
    made = opened(Rig())
    made.counter = COUNTER_END
    with pytest.raises(ProvisionError, match="used up"):
        made.request("custom-data", b"{}")


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("other", PASSWORD)])
def test_a_wrong_user_or_password_is_told_with_the_next_step(user: str, password: str) -> None:
    """The message names the user, and never the password."""
    with pytest.raises(ProvisionError, match="refused user") as caught:
        session(Rig(), password, user).open()
    assert repr(user) in str(caught.value)
    assert password not in str(caught.value)


def test_a_changed_salt_looks_like_a_wrong_password() -> None:
    """Somebody between us and the device who changes the salt gets nothing for it."""

    def change(step: int, way: str, data: bytes) -> bytes:
        if (step, way) != (2, "back"):
            return data
        message = pb.Session.FromString(data)
        salt = message.handshake.hello_answer.salt
        message.handshake.hello_answer.salt = bytes([salt[0] ^ 0x80 or 1]) + salt[1:]
        return message.SerializeToString()

    made = SecureSession(DirectTransport(Rig(), change), USER, PASSWORD)
    with pytest.raises(ProvisionError, match="refused user"):
        made.open()


class Liar(DirectTransport):
    """A device that says what the test wants."""

    def __init__(self, hello: pb.HelloAnswer | None, proof: pb.ProofAnswer | None = None) -> None:
        super().__init__(Rig())
        self.said = [hello, proof]

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Lie on prov-session."""
        if endpoint != "prov-session":
            return super().exchange(endpoint, body)
        said, self.said = self.said[0], self.said[1:]
        if said is None:
            return b"\xff\xff"
        answer = pb.Session(security_version=2)
        if isinstance(said, pb.HelloAnswer):
            answer.handshake.hello_answer.CopyFrom(said)
        else:
            answer.handshake.proof_answer.CopyFrom(said)
        return answer.SerializeToString()


KEY = b"\x07" * 384


@pytest.mark.parametrize(
    ("hello", "proof", "reason"),
    [
        (None, None, "expected hello_answer"),
        (pb.HelloAnswer(public_key=KEY), None, "0 bytes of salt"),
        (pb.HelloAnswer(public_key=KEY, salt=b"s" * 65), None, "65 bytes of salt"),
        (pb.HelloAnswer(status=5, public_key=KEY, salt=b"s"), None, "got status 5"),
        (pb.HelloAnswer(public_key=bytes(384), salt=b"s"), None, "not the device"),
        (pb.HelloAnswer(public_key=KEY, salt=b"s"), pb.HelloAnswer(), "expected proof_answer"),
        (
            pb.HelloAnswer(public_key=KEY, salt=b"s"),
            pb.ProofAnswer(proof=b"x" * 64, nonce=b"n" * 12),
            "could not prove that it knows it",
        ),
    ],
)
def test_a_device_that_lies_is_found_out(
    hello: pb.HelloAnswer | None, proof: pb.ProofAnswer | None, reason: str
) -> None:
    """Rubbish, forbidden keys, a device that accepts any password: each told in one line."""
    with pytest.raises(BadAnswer, match=reason):
        SecureSession(Liar(hello, proof), USER, PASSWORD).open()


@pytest.mark.parametrize("nonce", [b"", b"n" * 8 + b"\0\0\0\0", b"n" * 13])
def test_nonces_that_cannot_be_are_refused(nonce: bytes) -> None:
    """Twelve bytes with a counter above 0."""

    def change(step: int, way: str, data: bytes) -> bytes:
        if (step, way) != (3, "back"):
            return data
        message = pb.Session.FromString(data)
        message.handshake.proof_answer.nonce = nonce
        return message.SerializeToString()

    with pytest.raises(BadAnswer, match="expected a nonce of 12 bytes"):
        SecureSession(DirectTransport(Rig(), change), USER, PASSWORD).open()


def test_a_verifier_made_with_the_zeros_of_the_inner_hash_is_met_half_way() -> None:
    """Firmware that keeps them refuses our first proof; the second try is made its way."""
    from server.provisioning.srp6a import N, padded, private_key

    salt = b"0123456789abcdef"
    x = private_key(b"wifiprov", b"pw69", salt, strip=False)
    board = Board(nvs={"prov.salt": salt, "prov.verifier": padded(pow(5, x, N))})
    made = session(Rig(board), "pw69")
    made.open()
    assert made.request("custom-data", b"{}")


def test_a_busy_device_is_waited_for_a_minute_and_no_longer() -> None:
    """After that the user is told what to do."""

    class Busy(DirectTransport):
        def exchange(self, endpoint: str, body: bytes) -> bytes:
            if endpoint == "prov-session":
                raise RequestRefused(endpoint, 503, "busy", 25)
            return super().exchange(endpoint, body)

    slept: list[float] = []
    made = SecureSession(Busy(Rig()), USER, PASSWORD, sleep=slept.append)
    with pytest.raises(ProvisionError, match="another client is provisioning this device"):
        made.open()
    assert slept == [25, 25]


@pytest.mark.parametrize("status", [0, 404, 500])
def test_a_device_that_begins_no_session_is_told(status: int) -> None:
    """Whatever it says instead."""

    class Closed(DirectTransport):
        def exchange(self, endpoint: str, body: bytes) -> bytes:
            if endpoint == "prov-session":
                raise RequestRefused(endpoint, status)
            return super().exchange(endpoint, body)

    with pytest.raises(ProvisionError, match="refused to begin a session"):
        SecureSession(Closed(Rig()), USER, PASSWORD).open()
