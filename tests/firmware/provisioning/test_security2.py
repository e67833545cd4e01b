"""The one secure session of a device."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware_stubs.provisioning.faults import Fault
from firmware_stubs.provisioning.security2 import COUNTER_END, Security2
from firmware_stubs.provisioning.srp import make_verifier
from server.provisioning import protocomm_pb2 as pb
from server.provisioning.srp6a import Srp6aClient
from tests.firmware.provisioning.board import Board

SALT = b"0123456789abcdef"


def drain(job: object) -> bytes:
    """Run a generator to its end and give what it returns."""
    while True:
        try:
            next(job)  # type: ignore[call-overload]
        except StopIteration as end:
            answer: bytes = end.value
            return answer


class Handshake:
    """A device, and a client made of the bare arithmetic."""

    def __init__(self, password: bytes = b"abcd1234", user: bytes = b"wifiprov") -> None:
        self.board = Board()
        verifier = make_verifier(self.board, b"wifiprov", b"abcd1234", SALT)
        self.device = Security2(self.board, SALT, verifier)
        self.client = Srp6aClient(user, password, self.board.random)
        self.user = user

    def hello(self, **fields: bytes) -> bytes:
        """Write command 0."""
        request = pb.Session(security_version=2)
        request.handshake.type = pb.Handshake.HELLO
        request.handshake.hello.username = fields.get("username", self.user)
        request.handshake.hello.public_key = fields.get("public_key", self.client.public)
        return request.SerializeToString()

    def proof(self, proof: bytes | None = None) -> bytes:
        """Do command 0, and write command 1."""
        answer = pb.Session.FromString(self.say(self.hello())).handshake.hello_answer
        right = self.client.proof(answer.salt, answer.public_key)
        request = pb.Session(security_version=2)
        request.handshake.type = pb.Handshake.PROOF
        request.handshake.proof.proof = right if proof is None else proof
        return request.SerializeToString()

    def say(self, body: bytes) -> bytes:
        """Send a message of the handshake."""
        return drain(self.device.shake(body))

    def open(self) -> bytes:
        """Do all of it; give the first nonce."""
        answer = pb.Session.FromString(self.say(self.proof())).handshake.proof_answer
        assert self.client.check(answer.proof)
        return answer.nonce


def test_the_nonce_counts_every_message_sealed_and_every_message_opened() -> None:
    """The counter begins at 1 and goes up by one each time, on both kinds of message."""
    handshake = Handshake()
    nonce, device = handshake.open(), handshake.device
    cipher = AESGCM(handshake.client.key[:32])
    assert (len(nonce), nonce[8:], device.counter) == (12, b"\0\0\0\1", 1)
    for count in range(1, 9, 2):
        sealed = cipher.encrypt(nonce[:8] + count.to_bytes(4, "big"), b"question", None)
        assert device.unseal(sealed) == b"question"
        assert device.counter == count + 1
        answer = device.seal(b"answer")
        assert device.counter == count + 2
        assert cipher.decrypt(nonce[:8] + (count + 1).to_bytes(4, "big"), answer, None) == b"answer"


def test_a_message_that_does_not_open_leaves_the_counter_alone() -> None:
    """Somebody who sends rubbish cannot put the two sides out of step."""
    handshake = Handshake()
    nonce = handshake.open()
    sealed = AESGCM(handshake.client.key[:32]).encrypt(nonce, b"question", None)
    for bad in (b"", b"short", bytes(16), sealed[:-1], bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(Fault, match="tag"):
            handshake.device.unseal(bad)
    assert handshake.device.unseal(sealed) == b"question"


def test_a_replayed_message_does_not_open() -> None:
    """The nonce has moved on, so the same bytes are worth nothing the second time."""
    handshake = Handshake()
    nonce = handshake.open()
    sealed = AESGCM(handshake.client.key[:32]).encrypt(nonce, b"question", None)
    handshake.device.unseal(sealed)
    with pytest.raises(Fault, match="replayed"):
        handshake.device.unseal(sealed)


def test_the_session_ends_before_a_nonce_would_come_again() -> None:
    """After the last counter the session is closed."""
    handshake = Handshake()
    handshake.open()
    handshake.device.counter = COUNTER_END - 1
    handshake.device.seal(b"the last one")
    with pytest.raises(Fault, match="used up"):
        handshake.device.seal(b"one too many")
    with pytest.raises(Fault, match="no secure session"):
        handshake.device.seal(b"and now there is none")


@pytest.mark.parametrize(
    ("user", "password"), [(b"wifiprov", b"abcd1235"), (b"other", b"abcd1234")]
)
def test_a_wrong_user_or_password_is_found_out_by_the_proof(user: bytes, password: bytes) -> None:
    """Neither is told apart: the answer is the same."""
    handshake = Handshake(password, user)
    with pytest.raises(Fault) as caught:
        handshake.open()
    assert (caught.value.status, caught.value.reason) == (500, "wrong user or password")


def test_one_key_exchange_allows_one_guess() -> None:
    """After a wrong proof the right one is refused too: a new exchange is needed."""
    handshake = Handshake()
    right = handshake.proof()
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(Fault, match="wrong user or password"):
        handshake.say(wrong)
    with pytest.raises(Fault, match="expected after command 0"):
        handshake.say(right)


def test_a_proof_is_good_for_once() -> None:
    """A recorded handshake opens no second session: the device's key is a new one."""
    handshake = Handshake()
    hello, proof = handshake.hello(), handshake.proof()
    handshake.say(proof)
    handshake.say(hello)
    with pytest.raises(Fault, match="wrong user or password"):
        handshake.say(proof)


def test_a_new_handshake_ends_the_session_before() -> None:
    """With command 0 the old keys are gone, whatever becomes of the new handshake."""
    handshake = Handshake()
    handshake.open()
    handshake.say(handshake.hello())
    with pytest.raises(Fault, match="no secure session"):
        handshake.device.unseal(bytes(32))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"public_key": b"\x01" * 383}, "client_pubkey: expected 384 bytes, got 383"),
        ({"public_key": b"\x01" * 385}, "client_pubkey: expected 384 bytes, got 385"),
        ({"public_key": b""}, "client_pubkey: expected 384 bytes, got 0"),
        ({"public_key": bytes(384)}, "0 modulo N"),
        ({"username": b""}, "client_username: expected 1 to 64, got 0 bytes"),
        ({"username": b"A" * 65}, "client_username: expected 1 to 64, got 65 bytes"),
        ({"username": b"A" * 3000}, "username: at most 512 bytes"),
    ],
)
def test_names_and_keys_of_wrong_length_are_refused(fields: dict[str, bytes], reason: str) -> None:
    """Each is refused with a reason, and leaves no session behind."""
    handshake = Handshake()
    with pytest.raises(Fault, match=reason) as caught:
        handshake.say(handshake.hello(**fields))
    assert caught.value.status == 500
    assert handshake.open()


def test_a_proof_of_wrong_length_is_refused() -> None:
    """64 bytes are expected."""
    handshake = Handshake()
    with pytest.raises(Fault, match="client_proof: expected 64 bytes, got 63"):
        handshake.say(handshake.proof(b"x" * 63))


def kinds() -> list[tuple[str, bytes]]:
    """Give handshake messages whose parts do not belong together."""
    both = Handshake()
    crossed0 = pb.Session(security_version=2)
    crossed0.handshake.type = pb.Handshake.HELLO
    crossed0.handshake.proof.proof = b"\x33" * 64
    crossed1 = pb.Session(security_version=2)
    crossed1.handshake.type = pb.Handshake.PROOF
    crossed1.handshake.hello.username = b"alice"
    bare = pb.Session(security_version=2)
    bare.handshake.type = pb.Handshake.HELLO
    answer = pb.Session(security_version=2)
    answer.handshake.type = pb.Handshake.HELLO_ANSWER
    answer.handshake.hello_answer.salt = b"x"
    scheme1 = bytes.fromhex("10025a0408005200")  # sec_ver 2 with the payload of scheme 1
    return [
        ("hello with a proof", crossed0.SerializeToString()),
        ("proof with a hello", crossed1.SerializeToString()),
        ("hello without contents", bare.SerializeToString()),
        ("an answer", answer.SerializeToString()),
        ("payload of scheme 1", scheme1),
        ("scheme 1", both.hello().replace(b"\x10\x02", b"\x10\x01", 1)),
        ("nothing", b"\x10\x02"),
        ("rubbish", b"\xff" * 40),
    ]


@pytest.mark.parametrize("body", [k[1] for k in kinds()], ids=[k[0] for k in kinds()])
def test_messages_that_are_not_what_they_say_are_refused(body: bytes) -> None:
    """The cases of protocomm's own unit tests, and more: a status, and never an exception."""
    with pytest.raises(Fault) as caught:
        Handshake().say(body)
    assert caught.value.status == 500
