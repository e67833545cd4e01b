"""Messages that are cut or altered on the way: refused on either side, never an exception."""

from __future__ import annotations

import contextlib
import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from server.provisioning.client import DeviceClient
from server.provisioning.errors import BadAnswer, ProvisionError, RequestRefused
from server.provisioning.session import SecureSession
from tests.firmware.provisioning.board import PASSPHRASE, Board, Rig
from tests.firmware.provisioning.direct import PASSWORD, USER, DirectTransport

# The verifier takes long to make and is not what is tested here.
FACTORY = Rig().board.nvs
STEPS = 11
SEALED_FROM = 4
"""proto-ver and the two messages of the handshake are not sealed."""

cuts = st.builds(lambda part: ("cut", part), st.floats(0, 1, exclude_max=True))
flips = st.builds(
    lambda at, bit: ("flip", at, bit), st.floats(0, 1, exclude_max=True), st.integers(0, 7)
)
additions = st.builds(lambda tail: ("add", tail), st.binary(min_size=1, max_size=40))
changes = st.one_of(cuts, flips, additions)


def changed(data: bytes, change: tuple[object, ...]) -> bytes:
    """Cut, flip one bit, or add."""
    kind, *how = change
    if kind == "cut":
        return data[: int(how[0] * len(data))]  # type: ignore[operator]
    if kind == "add":
        return data + how[0]  # type: ignore[operator]
    at = int(how[0] * len(data))  # type: ignore[operator]
    return data[:at] + bytes([data[at] ^ 1 << how[1]]) + data[at + 1 :]  # type: ignore[operator]


def run(step: int, way: str, change: tuple[object, ...]) -> tuple[Rig, ProvisionError | None]:
    """Do a whole run in which one message is changed; give the board and the client's error."""
    rig = Rig(Board(nvs=FACTORY))
    transport = DirectTransport(
        rig,
        lambda at, direction, data: (
            changed(data, change) if (at, direction) == (step, way) else data
        ),
    )
    session = SecureSession(
        transport,
        USER,
        PASSWORD,
        random=Random(1).randbytes,
        sleep=lambda s: rig.poll(int(1000 * s)),
    )
    client = DeviceClient(session, 50)
    try:
        session.open()
        client.set_gateway("http://gw:8000", "car-1", "key")
        assert [network.ssid for network in client.scan()] == ["Home", "Café"]
        client.set_network("Home", PASSPHRASE)
        rig.poll(1000)
        assert client.wifi_state().state == "connected"
    except ProvisionError as error:
        return rig, error
    # Two more where a change made a number begin with a zero byte: the client shook hands again.
    assert transport.step in (STEPS, STEPS + 2)
    return rig, None


def test_the_run_itself_works() -> None:
    """Unchanged, every step is done."""
    rig, error = run(0, "", ())
    assert error is None
    assert rig.board.nvs["gw.key"] == b"key"


@settings(max_examples=40, deadline=None)
@given(step=st.integers(SEALED_FROM, STEPS), change=changes)
def test_a_sealed_request_that_was_changed_is_refused(
    step: int, change: tuple[object, ...]
) -> None:
    """The device answers 500 (to a body that is empty, too) and does not do what it said."""
    rig, error = run(step, "there", change)
    assert isinstance(error, RequestRefused)
    assert error.status == 500
    if step == SEALED_FROM:
        assert "gw.key" not in rig.board.nvs


@settings(max_examples=40, deadline=None)
@given(step=st.integers(SEALED_FROM, STEPS), change=changes)
def test_a_sealed_answer_that_was_changed_is_not_believed(
    step: int, change: tuple[object, ...]
) -> None:
    """The client says so, and goes no further."""
    _, error = run(step, "back", change)
    assert isinstance(error, BadAnswer)


@settings(max_examples=80, deadline=None)
@given(step=st.integers(1, SEALED_FROM - 1), way=st.sampled_from(["there", "back"]), change=changes)
def test_a_handshake_that_was_changed_gives_one_clear_error_or_the_true_session(
    step: int, way: str, change: tuple[object, ...]
) -> None:
    """What matters is covered by the proofs; what does not (a text, an unknown field) may pass."""
    rig, error = run(step, way, change)
    for reply in rig.board.replies.values():
        assert reply.status in (200, 500)
    if error is None:
        assert rig.board.nvs["gw.key"] == b"key"
    else:
        assert "\n" not in str(error)
        assert "gw.key" not in rig.board.nvs


@settings(max_examples=150, deadline=None)
@given(
    endpoint=st.sampled_from(["prov-session", "prov-config", "custom-data", "proto-ver", "x"]),
    body=st.binary(max_size=600),
    cookie=st.binary(max_size=40),
)
def test_any_bytes_at_all_have_an_answer(endpoint: str, body: bytes, cookie: bytes) -> None:
    """Random requests with random cookies end in a status, never in an exception."""
    reply = Rig(Board(nvs=FACTORY)).post(endpoint, body, cookie)
    assert reply.status in (200, 404, 500)


@settings(max_examples=150, deadline=None)
@given(plain=st.binary(max_size=300))
def test_any_plain_bytes_have_an_answer(plain: bytes) -> None:
    """The handlers behind the session refuse what they cannot read."""
    from firmware_stubs.provisioning.endpoints import Endpoints
    from firmware_stubs.provisioning.faults import Fault
    from firmware_stubs.provisioning.station import Station

    board = Board(nvs=FACTORY)
    for handler in Endpoints(board, Station(board)).table().values():
        # Any other exception fails the test.
        with contextlib.suppress(Fault):
            assert isinstance(handler(plain), bytes)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200), junk=st.binary(max_size=200))
def test_any_json_and_any_console_input_are_survived(text: str, junk: bytes) -> None:
    """A value of any kind for each key, and any bytes at the console."""
    from firmware_stubs.provisioning.endpoints import Endpoints
    from firmware_stubs.provisioning.station import Station

    board = Board(nvs=FACTORY)
    data = json.dumps({"url": text, "device": text, "key": text}).encode()
    told = json.loads(Endpoints(board, Station(board)).custom_data(data))
    assert told["status"] in ("ok", "error")
    rig = Rig(Board(nvs=FACTORY))
    rig.provisioner.console(junk + b"\nprov-session 1 " + junk.hex().encode() + b"\r")
    rig.poll()
