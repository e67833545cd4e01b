"""Whatever a tester sends, in whatever session: an ECU answers in form and lives on."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.ecu.errors import UNSAID_WHEN_FUNCTIONAL, Nrc

KNOWN_SIDS = [0x10, 0x11, 0x14, 0x19, 0x22, 0x27, 0x28, 0x2E, 0x31, 0x3E, 0x85]
FUNCTIONAL_ID = 0x7DF

requests = st.builds(
    lambda sid, rest: bytes((sid,)) + rest,
    st.one_of(st.sampled_from(KNOWN_SIDS), st.integers(0, 0xFF)),
    st.binary(max_size=20),
)
sessions = st.sampled_from(["", "1003", "1002"])


def in_form(request: bytes, answer: bytes) -> bool:
    """Return whether `answer` belongs to `request`."""
    if answer[0] == 0x7F:
        return len(answer) == 3 and answer[1] == request[0] and answer[2] in set(Nrc)
    return answer[0] == request[0] + 0x40


@settings(max_examples=200, deadline=None)
@given(st.lists(requests, min_size=1, max_size=4), sessions, st.booleans())
def test_physical_requests(
    make_bench: Any, plan: list[bytes], session: str, engine_on: bool
) -> None:
    """Each request has one final answer unless it asks for none or the ECU restarts."""
    bench = make_bench(1)
    bench.car.state.engine_on = engine_on
    bench.car.state.speed_mps = 0.0
    if session:
        bench.talk(session)
    for request in plan:
        bench.talk(request.hex(), wait_s=12.0)
        answers = [payload for _t, _id, payload in bench.answers]
        assert all(in_form(request, answer) for answer in answers)
        final = [answer for answer in answers if answer[2:] != b"\x78" or answer[0] != 0x7F]
        suppressed = len(request) > 1 and request[1] & 0x80
        assert len(final) == 1 or (suppressed and not final)
    assert bench.talk("22f190", wait_s=0.2).startswith("62f190")


@settings(max_examples=80, deadline=None)
@given(st.binary(min_size=1, max_size=7))
def test_functional_requests(make_bench: Any, request_bytes: bytes) -> None:
    """Nobody says what is not to be said to a request for everybody."""
    bench = make_bench(1)
    for answer in bench.ask(request_bytes.hex(), FUNCTIONAL_ID):
        assert in_form(request_bytes, answer)
        assert answer[0] != 0x7F or answer[2] not in UNSAID_WHEN_FUNCTIONAL
    bench.run(12.0)
    assert bench.ask("010C", 0x7E0)[0][:2] == b"\x41\x0c"
