"""Every way in which an adapter lies, stalls or leaves, with real python-OBD and pyserial on a
PTY."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.catalogue import CATALOGUE, by_name
from server.clock import SystemClock
from server.errors import LinkLost
from server.obd.backend import Trouble
from server.obd.elm import adapter as elm_adapter
from server.obd.elm.adapter import AdapterOptions, ObdAdapter, Question
from server.obd.elm.port import ReplyGuard

pytest.importorskip("obd", reason="python-OBD (extra obd) is not installed")

pytestmark = pytest.mark.usefixtures("short_sleeps")
VIN_FRAMES = (
    b"7E8 10 14 49 02 01 57 46 30 \r7E8 21 44 58 58 47 41 4B 44 \r7E8 22 44 4B 31 32 33 34 35 \r\r>"
)
RPM, SPEED = by_name("RPM"), by_name("SPEED")
OBD_SIGNALS = [signal for signal in CATALOGUE if signal.source.startswith("obd:01")]


def make(port: str, **options) -> ObdAdapter:
    """An adapter on protocol 6 with short limits."""
    settings_ = {"protocol": "6", "reply_timeout_s": 2.0, "connect_timeout_s": 10.0} | options
    return ObdAdapter(AdapterOptions(port, **settings_), SystemClock())


@pytest.fixture
def adapter(elm) -> Iterator[ObdAdapter]:
    """A connected adapter."""
    adapter = make(elm.path)
    adapter.connect()
    yield adapter
    adapter.close()


@pytest.fixture
def impatient(elm) -> Iterator[ObdAdapter]:
    """A connected adapter that is lost after half a second."""
    adapter = make(elm.path, reply_timeout_s=0.5)
    adapter.connect()
    yield adapter
    adapter.close()


def reply_once(elm, command: bytes, reply: bytes | None) -> None:
    """Give one wrong reply to the first `command` (whatever its digit), then the right ones."""

    def answer(asked: bytes) -> bytes | None:
        if asked.startswith(command):
            elm.answer = elm.by_table
            return reply
        return elm.by_table(asked)

    elm.answer = answer


def test_a_value_comes_in_the_signals_unit(adapter) -> None:
    """1726 rpm, 64 km/h, 83 °C, again and again."""
    questions = [adapter.question(by_name(name)) for name in ("RPM", "SPEED", "COOLANT_TEMP")]
    for _ in range(3):
        assert [adapter.ask(question) for question in questions] == [1726.0, 64.0, 83.0]


def test_a_lost_reply_costs_one_value(adapter, elm) -> None:
    """The adapter shows that it lives; the connection is kept (python-OBD alone: 121 s)."""
    question = adapter.question(RPM)
    reply_once(elm, b"010C", None)
    assert adapter.ask(question) is None
    assert adapter.trouble is Trouble.LOST
    assert adapter.ask(question) == 1726.0


def test_a_moment_of_silence_is_no_loss(adapter, elm) -> None:
    """An adapter that misses the question and the first wake-up answers the next one."""
    question = adapter.question(RPM)
    adapter._options = AdapterOptions(elm.path, protocol="6", reply_timeout_s=5.0)
    heard: list[bytes] = []

    def answer(command: bytes) -> bytes | None:
        heard.append(command)
        return None if len(heard) < 3 else elm.by_table(command)

    elm.answer = answer
    assert adapter.ask(question) is None
    assert adapter.trouble is Trouble.LOST
    assert heard == [b"010C", b"\x7f\x7f", b"\x7f\x7f"]
    assert adapter.ask(question) == 1726.0


def test_a_mute_adapter_is_lost(impatient, elm) -> None:
    """No prompt within `reply_timeout_s`, not to the wake-up either: the link is lost."""
    elm.answer = lambda command: None
    with pytest.raises(LinkLost, match=r"expected a prompt .* within 0\.5 s, found nothing"):
        impatient.ask(impatient.question(RPM))


def test_a_flood_without_prompt_is_bounded(impatient, elm) -> None:
    """An adapter that never stops talking is lost like a mute one."""
    elm.answer = lambda command: b"7E8 04 41 0C 1A F8 \r" * 150
    with pytest.raises(LinkLost, match="expected a prompt"):
        impatient.ask(impatient.question(RPM))


@pytest.mark.parametrize("other", [b"010D", b"010B"])
def test_the_reply_to_another_question_is_never_stored(adapter, elm, other: bytes) -> None:
    """A stale reply is refused, and the line is cleared so that it does not shift for ever."""
    question = adapter.question(RPM)
    reply_once(elm, b"010C", elm.replies[other])
    assert adapter.ask(question) is None
    assert adapter.trouble is Trouble.STALE
    assert adapter.ask(question) == 1726.0


def test_late_replies_do_not_shift(adapter, elm) -> None:
    """A doubled reply answers nothing that is asked after it."""
    rpm, speed = adapter.question(RPM), adapter.question(SPEED)
    reply_once(elm, b"010C", elm.replies[b"010C"] * 2)
    got = [adapter.ask(question) for question in (rpm, speed) * 4]
    assert all(
        value in (None, wanted) for value, wanted in zip(got, [1726.0, 64.0] * 4, strict=True)
    )
    assert got[-2:] == [1726.0, 64.0]


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (b"7E8 04 41 0C 1A \r\r>", Trouble.CUT),
        (b"7E8 04 41 0C 1A F\r\r>", Trouble.UNREADABLE),
        (b"7E8 04 41 0C\r\r>", Trouble.CUT),
        (b"7E8 04\r\r>", Trouble.UNREADABLE),
        (b"7E8 03 41 0C 1A \r\r>", Trouble.STALE),
        (b"7E8 04 41 0C 1A F8 \r7E8 04 41 0C 1A F8 \r\r>", Trouble.UNREADABLE),
        (b"7E9 04 41 0C 1A F8 \r\r>", Trouble.UNREADABLE),
        (b"7E8 04 42 0C 1A F8 \r\r>", Trouble.STALE),
        (b"\xff\xfe#~\r\r>", Trouble.UNREADABLE),
        (b"STOPPED\r\r>", Trouble.UNREADABLE),
        (b"NO DATA\r\r>", Trouble.NO_DATA),
        (b"CAN ERROR\r\r>", Trouble.ERROR),
        (b"BUFFER FULL\r\r>", Trouble.ERROR),
        (b"?\r\r>", Trouble.ERROR),
        (b"7E8 03 7F 01 12 \r\r>", Trouble.REFUSED),
        (b">", Trouble.EMPTY),
        (b"\r\r>", Trouble.EMPTY),
    ],
)
def test_a_bad_reply_is_no_value(adapter, elm, reply: bytes, trouble: Trouble) -> None:
    """Cut, foreign, noisy and refusing replies are told apart; the next question is answered."""
    question = adapter.question(RPM)
    reply_once(elm, b"010C", reply)
    assert adapter.ask(question) is None
    assert adapter.trouble is trouble
    assert adapter.ask(question) == 1726.0


def test_two_ecus_do_not_disturb(adapter, elm) -> None:
    """The gearbox answers too, before or after the engine; the engine's value counts."""
    elm.replies[b"010D"] = b"7E9 03 41 0D 41 \r7E8 03 41 0D 40 \r\r>"
    question = adapter.question(SPEED)
    assert [adapter.ask(question) for _ in range(4)] == [64.0] * 4


def test_padding_is_not_part_of_a_value(adapter, elm) -> None:
    """Frames padded to 8 bytes, without spaces, read the same."""
    elm.replies[b"010C"] = b"7E804410C1AF8000000\r\r>"
    assert adapter.ask(adapter.question(RPM)) == 1726.0


@pytest.mark.parametrize(
    "reply", [b"\r\rELM327 v1.5\r\r>", b"010C1\r41 0C 1A F8 \r\r>", b"LV RESET\r\r>"]
)
def test_a_reset_adapter_is_lost(adapter, elm, reply: bytes) -> None:
    """A banner or an echo shows that headers are off: every value would be null from here on."""
    question = adapter.question(RPM)
    adapter.ask(question)
    adapter.ask(adapter.question(SPEED))
    elm.replies[b"010C"] = reply
    with pytest.raises(LinkLost, match="was reset"):
        adapter.ask(question)


def test_ignition_off_is_lost(adapter, elm) -> None:
    """UNABLE TO CONNECT in the middle ends the connection with a hint."""
    elm.replies[b"010C"] = b"UNABLE TO CONNECT\r\r>"
    with pytest.raises(LinkLost, match="ignition off"):
        adapter.ask(adapter.question(RPM))


def test_an_unplugged_adapter_is_lost(adapter, elm) -> None:
    """A hang-up is seen at the next question, without python-OBD's second of retries."""
    question = adapter.question(RPM)
    elm.unplug()
    with pytest.raises(LinkLost, match="expected a serial port"):
        adapter.ask(question)


@pytest.mark.parametrize(
    ("noise", "good"),
    [
        (b"\xff>", None),
        (b"SEARCHING...\r7E8 04 41 0C 1A F8 \r\r>", None),
        (b"#x\r7E8 04 41 0C 1A F8 \r#y\r\r>", None),
        (b"\xff>", b"#x\r7E8 04 41 0C 1A F8 \r#y\r\r>"),
        (b"\xff>", b"#x\r7E8 04 41 0C 1A F8 \r7E9 03 41 0D 40 \r\r>"),
    ],
)
def test_a_wrong_frame_count_is_not_kept(adapter, elm, noise: bytes, good: bytes | None) -> None:
    """python-OBD learns `010C0` and `010C3` from noise, each time anew; none is asked for ever."""
    question, other = adapter.question(RPM), adapter.question(SPEED)
    assert adapter.ask(question) == 1726.0
    for reply in (noise, good):
        if reply is not None:
            reply_once(elm, b"010C", reply)
        adapter.ask(question)
        adapter.ask(other)
    assert adapter.ask(question) == 1726.0
    assert [asked for asked in elm.asked if asked.startswith(b"010C")][-1] == b"010C1"


def test_two_ecus_are_two_frames(adapter, elm) -> None:
    """Where the gearbox answers too, the digit is 2: the engine may be the second to answer."""
    elm.replies[b"010D"] = b"7E9 03 41 0D 41 \r7E8 03 41 0D 40 \r\r>"
    question = adapter.question(SPEED)
    assert [adapter.ask(question), adapter.ask(adapter.question(RPM))] == [64.0, 1726.0]
    assert adapter.ask(question) == 64.0
    assert elm.asked[-1] == b"010D2"


def test_an_adapter_that_does_not_repeat_is_asked_in_full(adapter, elm) -> None:
    """Clones answer a lone return with a prompt (python-OBD#66): after the first, none is sent."""
    plain = elm.receive

    def receive(data: bytes) -> None:
        if data == b"\r":
            elm.asked.append(b"")
            elm.send(b">")
        else:
            plain(data)

    elm.receive = receive
    question = adapter.question(RPM)
    assert [adapter.ask(question) for _ in range(8)].count(None) == 1
    assert elm.asked.count(b"") == 1


def test_fast_off_sends_no_digit_and_no_lone_return(elm) -> None:
    """`fast = false` asks `010C` each time."""
    adapter = make(elm.path, fast=False)
    adapter.connect()
    question = adapter.question(RPM)
    assert [adapter.ask(question) for _ in range(3)] == [1726.0] * 3
    assert elm.asked[-3:] == [b"010C"] * 3
    adapter.close()


@pytest.mark.parametrize("signal", OBD_SIGNALS, ids=lambda signal: signal.name)
def test_every_signal_spans_its_range(adapter, elm, signal) -> None:
    """All bits 0 and all bits 1 give the catalogue's minimum and maximum, in its unit."""
    question = adapter.question(signal)
    size = question.command.bytes - 2
    ends = []
    for byte in (0x00, 0xFF):
        data = bytes((size + 2, 0x41, signal.id, *[byte] * size))
        elm.replies[b"01%02X" % signal.id] = b"7E8 " + data.hex(" ").upper().encode() + b" \r\r>"
        value = adapter.ask(question)
        assert value is not None
        ends.append(value)
    slack = signal.resolution / 2
    assert signal.minimum - slack <= min(ends)
    assert max(ends) <= signal.maximum + slack


# -- asked once ------------------------------------------------------------------------------------
def test_the_vin_is_read(adapter, elm) -> None:
    """Three frames make 17 characters."""
    assert adapter.vin() == "WF0DXXGAKDDK12345"


@pytest.mark.parametrize(
    "reply",
    [
        b"NO DATA\r\r>",
        b"7E8 10 14 49 02 01 57 46 30 \r7E8 21 44 58 58 47 41 4B 44 \r\r>",
        b"7E8 10 14 49 02 01 57 46 30 \r7E8 21 44 58 58 47 41 4B 44 \r7E8 22 44 4B 31 32 33 \r\r>",
        VIN_FRAMES.replace(b"49 02", b"49 04"),
        VIN_FRAMES.replace(b"34 35", b"34 00"),
    ],
)
def test_a_wrong_vin_is_no_vin(adapter, elm, reply: bytes) -> None:
    """Absent, cut, another item, or 16 characters: no vehicle is named."""
    elm.replies[b"0902"] = reply
    assert adapter.vin() is None


def test_supported_pids_come_from_the_bitmaps(adapter, elm) -> None:
    """A bit set, a bit not set, a group that was announced and could not be read, one not
    announced."""
    assert adapter.supported([0x0C, 0x02, 0x33, 0x5C]) == {
        0x0C: True,
        0x02: False,
        0x33: True,
        0x5C: False,
    }
    elm.replies[b"0120"] = b"NO DATA\r\r>"
    assert adapter.supported([0x0C, 0x33, 0x5C]) == {0x0C: True, 0x33: None, 0x5C: False}
    elm.replies[b"0100"] = b"7E8 06 41 00 BE 3F B8 12 \r\r>"
    assert adapter.supported([0x33, 0x5C]) == {0x33: False, 0x5C: False}


@pytest.mark.parametrize("group", [b"0100", b"0120"])
def test_a_damaged_bitmap_denies_no_pid(adapter, elm, group: bytes) -> None:
    """A PID that is denied once is asked no more: a second reply must say the same."""
    elm.replies[b"0140"] = b"7E8 06 41 40 7A 1C 80 10 \r\r>"  # 5C
    damaged = {
        b"0100": b"7E8 06 41 00 BE 3F B8 12 \r\r>",  # 20 is not announced
        b"0120": b"7E8 06 41 20 80 01 20 00 \r\r>",  # 40 is not announced
    }
    reply_once(elm, group, damaged[group])
    assert adapter.supported([0x0C, 0x5C]) == {0x0C: True, 0x5C: True}


ENGINE, GEARBOX = b"7E8 06 41 00 BE 3F B8 13 \r", b"7E9 06 41 00 80 00 00 01 \r"


def test_another_ecu_does_not_pass_for_the_engine(elm) -> None:
    """Noise ate the engine's line twice; what the gearbox has is not what the engine has."""
    elm.replies[b"0100"] = b"?!x" + ENGINE + GEARBOX + b"\r>"
    adapter = make(elm.path)
    adapter.connect()
    asked = []

    def answer(command: bytes) -> bytes | None:
        if command.startswith(b"0100"):
            asked.append(command)
            return (b"?!x" if len(asked) < 3 else b"") + ENGINE + GEARBOX + b"\r>"
        return elm.by_table(command)

    elm.answer = answer
    assert adapter.supported([0x0C]) == {0x0C: True}
    adapter.close()


@pytest.mark.parametrize(("noise", "is_known"), [(b"", True), (b"?!x", False)])
def test_an_engine_with_a_number_of_its_own_is_taken(elm, noise: bytes, is_known: bool) -> None:
    """Without noise nobody else has said anything."""
    engine = ENGINE.replace(b"7E8", b"7EA")
    elm.replies[b"0100"] = noise + b"\r" * bool(noise) + engine + b"\r>"
    adapter = make(elm.path)
    adapter.connect()
    if is_known:
        assert adapter.supported([0x0C]) == {0x0C: True}
    else:
        with pytest.raises(LinkLost, match="for there is noise"):
            adapter.supported([0x0C])
    adapter.close()


def test_a_car_that_answers_can_error_is_no_connection(elm) -> None:
    """python-OBD takes CAN ERROR for success (python-OBD#76); here the link is lost."""
    elm.replies[b"0100"] = b"CAN ERROR\r\r>"
    adapter = make(elm.path)
    adapter.connect()
    with pytest.raises(LinkLost, match="does not answer 0100: 'CAN ERROR'"):
        adapter.supported([0x0C])
    adapter.close()


# -- connecting ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "reply", "message"),
    [
        (b"0100", b"UNABLE TO CONNECT\r\r>", "expected an ELM327 with a car behind it"),
        (b"ATE0", b"?\r\r>", "ATE0 did not return 'OK'"),
        (b"ATH1", b"ATH1\rOK\r\r>", "ATH1 did not return 'OK'"),
        (b"ATRV", b"3.1V\r\r>", "socket disconnected"),
    ],
)
def test_a_failed_handshake_says_where(elm, command: bytes, reply: bytes, message: str) -> None:
    """The reason that python-OBD only logs is in the error."""
    elm.replies[command] = reply
    adapter = make(elm.path)
    with pytest.raises(LinkLost, match=message):
        adapter.connect()
    adapter.close()


@pytest.mark.parametrize("mute_from", [b"ATZ", b"ATH1", b"0100", b"0900"])
def test_an_adapter_mute_while_connecting_is_lost(elm, mute_from: bytes) -> None:
    """Connecting ends within its limits, at whatever step the adapter falls silent."""
    elm.replies[mute_from] = b""
    elm.answer = lambda command: elm.by_table(command) if command != mute_from else None
    adapter = make(elm.path, connect_timeout_s=1.0)
    with pytest.raises(
        LinkLost, match=f"expected a reply to '{mute_from.decode()}'.*found nothing"
    ):
        adapter.connect()
    adapter.close()


def test_only_a_search_is_waited_for_long() -> None:
    """A prompt that noise ate after a later question costs seconds, not the time of a search."""
    guard = ReplyGuard(SystemClock(), command_s=3.0, search_s=11.0, connect_s=20.0)
    guard.url("/dev/ttyX")
    left_s = {}
    for request in (b"ATZ", b"0100", b"0120", b"0902"):
        guard.wrote(request + b"\r")
        left_s[request] = round(guard.left_s())
    assert left_s == {b"ATZ": 3, b"0100": 11, b"0120": 3, b"0902": 3}


def test_an_absent_port_is_named(tmp_path) -> None:
    """The error names the port and the cause."""
    with pytest.raises(
        LinkLost, match=r"expected a serial port at .*absent, found: .*No such file"
    ):
        make(str(tmp_path / "absent")).connect()


def test_a_busy_port_is_refused(adapter, elm) -> None:
    """A second reader does not steal the first one's replies."""
    second = make(elm.path)
    with pytest.raises(LinkLost, match="another program holds it"):
        second.connect()
    assert adapter.ask(adapter.question(RPM)) == 1726.0


def test_the_baud_rate_is_found(elm) -> None:
    """Without a baud rate, python-OBD's own search works through the guarded port."""
    elm.replies[b"\x7f\x7f"] = b"?\r\r>"
    adapter = make(elm.path, baud=None)
    adapter.connect()
    assert elm.asked[0] == b"\x7f\x7f"
    assert adapter.ask(adapter.question(RPM)) == 1726.0
    adapter.close()


def test_a_search_for_the_protocol_may_take_its_time(elm) -> None:
    """SEARCHING... is waited for; the protocol is then known."""
    elm.replies |= {
        b"ATSP0": b"OK\r\r>",
        b"ATDPN": b"A6\r\r>",
        b"0100": b"SEARCHING...\r7E8 06 41 00 BE 3F B8 13 \r\r>",
    }
    adapter = make(elm.path, protocol=None)
    adapter.connect()
    assert adapter.ask(adapter.question(RPM)) == 1726.0
    adapter.close()


def test_29_bit_and_older_protocols_are_checked_alike(elm) -> None:
    """Headers of four bytes, and frames without length on ISO 9141, give the same value."""
    cases = {
        "7": (b"18 DA F1 10 06 41 00 BE 3F B8 13 \r\r>", b"18 DA F1 10 04 41 0C 1A F8 \r\r>"),
        "3": (b"48 6B 10 41 00 BE 3F B8 13 CC \r\r>", b"48 6B 10 41 0C 1A F8 22 \r\r>"),
    }
    for protocol, (bitmap, rpm) in cases.items():
        elm.replies |= {b"ATTP" + protocol.encode(): b"OK\r\r>", b"0100": bitmap, b"010C": rpm}
        elm.replies |= {b"0120": b"NO DATA\r\r>", b"0900": b"NO DATA\r\r>"}
        adapter = make(elm.path, protocol=protocol)
        adapter.connect()
        assert adapter.supported([0x0C]) == {0x0C: True}
        assert adapter.ask(adapter.question(RPM)) == 1726.0
        elm.replies[b"010C"] = rpm.replace(b"41 0C", b"41 0D")
        assert adapter.ask(adapter.question(RPM)) is None
        adapter.close()


# pyserial's close() skips the socket's own if the peer has gone before.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_adapter_on_a_socket_is_guarded_too(elm) -> None:
    """Any URL of pyserial works (Wi-Fi adapters): values come, and a lost connection is seen."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        host, _ = server.accept()
        elm.send = host.sendall
        while data := host.recv(4096):
            elm.receive(data)
            if elm.asked[-1] in (b"010D1", b""):
                break
        host.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    adapter = make(f"socket://127.0.0.1:{server.getsockname()[1]}")
    adapter.connect()
    assert adapter.ask(adapter.question(RPM)) == 1726.0
    assert adapter.ask(adapter.question(SPEED)) == 64.0  # answered before the far end closes
    adapter.ask(adapter.question(SPEED))
    thread.join(5)
    with pytest.raises(LinkLost, match="expected a serial port"):
        adapter.ask(adapter.question(SPEED))
    adapter.close()
    server.close()


def test_interrupt_leaves_a_wait(adapter, elm) -> None:
    """A thread that waits for a reply leaves at once, by LinkLost."""
    elm.answer = lambda command: adapter.interrupt()
    with pytest.raises(LinkLost, match="stopped"):
        adapter.ask(adapter.question(RPM))


def test_a_missing_library_names_the_extra(monkeypatch) -> None:
    """Without python-OBD the error says what to install."""

    def absent(name: str):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(elm_adapter.importlib, "import_module", absent)
    elm_adapter.library.cache_clear()
    with pytest.raises(LinkLost, match=r"pip install 'telerig\[obd\]'"):
        make("/dev/null").connect()


def test_another_unit_is_converted() -> None:
    """A command whose unit is not the catalogue's gets a factor, found out once."""
    obd = elm_adapter.library()
    adapter = make("/dev/null")
    adapter._obd = obd
    question = Question(SPEED, obd.commands.SPEED, can=True)
    adapter._learn_unit(question, obd.Unit.Quantity(10.0, "mile / hour"))
    assert question.scale == pytest.approx(1.609344)
    question = Question(by_name("OIL_TEMP"), obd.commands.OIL_TEMP, can=True)
    adapter._learn_unit(question, obd.Unit.Quantity(300.0, "kelvin"))
    assert (question.scale, question.offset) == (pytest.approx(1.0), pytest.approx(-273.15))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=60), st.text("0123456789ABCDEF \r>NOE", max_size=60).map(str.encode)
    )
)
def test_any_reply_is_a_value_of_this_signal_or_none(adapter, elm, noise: bytes) -> None:
    """Whatever an adapter answers, RPM is 1726 or nothing, and no error but LinkLost comes out."""
    question = adapter.question(RPM)
    reply_once(elm, b"010C", noise.replace(b"41", b"40") + b"\r>")
    try:
        assert adapter.ask(question) in (None, 1726.0)
    except LinkLost as error:
        assert any(word in str(error) for word in ("was reset", "cannot reach the car"))  # noqa: PT017
    assert 1726.0 in [adapter.ask(question) for _ in range(3)]
