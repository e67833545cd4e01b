"""The order of turns: whatever arrives, each turn is handed on once, in order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from server.instances.in_order import GAP_S, LOOK_BACK, Hole, InOrder, Missing

CAR = ("car", 7)
BOOTS = [("car", 7), ("car", 8), ("van", 7)]


class Reader:
    """A database that has all turns, and who reads there what is missing."""

    def __init__(self, order: InOrder[int], since: int = 1, page: int = 1000) -> None:
        self.order = order
        self.since = since
        self.page = page
        self.gone: set[int] = set()
        self.got: dict[tuple[str, int], list[int | Hole]] = {}
        self.now_s = 0.0

    def take(self, key: tuple[str, int], turn: int) -> None:
        """Have a turn arrive."""
        self.got.setdefault(key, []).extend(self.order.take(key, turn, turn, self.now_s))

    def answer(self, asked: Missing) -> None:
        """Give what is there of it."""
        first = max(asked.after + 1, self.since) if asked.is_first else asked.after + 1
        there = [turn for turn in range(first, asked.upto + 1) if turn not in self.gone]
        upto = asked.upto if len(there) <= self.page else there[self.page - 1]
        items = {turn: turn for turn in there[: self.page]}
        steps = self.order.found(asked, items, upto, self.now_s)
        self.got.setdefault(asked.key, []).extend(steps)

    def repair(self) -> None:
        """Ask until nothing is missing."""
        while self.order.gaps:
            self.now_s += GAP_S
            for asked in self.order.missing(self.now_s):
                self.answer(asked)


def test_turns_in_order_pass_and_a_late_one_is_waited_for() -> None:
    """What follows on a turn that is missing waits for it, and nothing is asked for so early."""
    order: InOrder[str] = InOrder()
    assert order.take(CAR, 1, "a", 0.0) == ["a"]
    assert order.take(CAR, 3, "c", 0.01) == []
    assert order.take(CAR, 4, "d", 0.02) == []
    assert (order.waiting, order.missing(0.03)) == (2, [])
    assert order.take(CAR, 2, "b", 0.04) == ["b", "c", "d"]
    assert (order.waiting, order.gaps, order.due_s()) == (0, 0, None)
    assert order.take(CAR, 2, "b", 0.05) == []
    assert order.doubled == 1


def test_what_is_missing_is_asked_for_once_at_a_time_and_again_after_a_failure() -> None:
    """A gap is asked for when it was waited for; a query that fails is repeated."""
    order: InOrder[str] = InOrder()
    order.take(CAR, 1, "a", 0.0)
    order.take(CAR, 4, "d", 1.0)
    assert order.due_s() == 1.0 + GAP_S
    (asked,) = order.missing(1.0 + GAP_S)
    assert asked == Missing("car", 7, 1, 4, False)
    assert (order.missing(2.0), order.due_s()) == ([], None)
    order.failed(asked, 3.0)
    assert order.missing(2.9) == []
    (asked,) = order.missing(3.0)
    # One came by the bus meanwhile, another is compacted already.
    assert order.take(CAR, 2, "b", 3.0) == ["b"]
    assert order.found(asked, {}, 4, 3.0) == [Hole("car", 7, 3, 3), "d"]
    assert order.next_turn(CAR) == 5


def test_a_reference_is_asked_for_at_once() -> None:
    """What is known to be there and comes in no message need not be waited for."""
    order: InOrder[str] = InOrder()
    order.take(CAR, 1, "a", 0.0)
    order.head(CAR, 3, 5.0)
    (asked,) = order.missing(5.0)
    assert order.found(asked, {2: "b", 3: "c"}, 3, 5.0) == ["b", "c"]
    order.head(CAR, 2, 6.0)
    assert order.missing(9.0) == []


def test_an_unknown_boot_begins_with_what_was_committed_since_somebody_listens() -> None:
    """Turns before the first message are asked for; older ones are not wanted, and no hole."""
    order: InOrder[int] = InOrder()
    assert order.take(CAR, 500_000, 500_000, 0.0) == []
    (asked,) = order.missing(1.0)
    assert (asked.is_first, asked.after) == (True, 500_000 - LOOK_BACK - 1)
    found = order.found(asked, {499_998: 499_998, 499_999: 499_999}, asked.upto, 1.0)
    assert found == [499_998, 499_999, 500_000]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_order_loss_and_doubling_gives_all_turns_once_in_order(data: st.DataObject) -> None:
    """Messages of three boots in any order, lost, doubled, as references, answered late, with
    little room to wait: everything is handed on, once, in order, from where somebody listens."""
    since = data.draw(st.integers(1, 4), "committed before anybody listened")
    order: InOrder[int] = InOrder(waiting=data.draw(st.integers(0, 8), "room"))
    reader = Reader(order, since, data.draw(st.integers(1, 30), "page"))
    heads = {key: data.draw(st.integers(since, since + 12)) for key in BOOTS}
    messages = [(key, turn) for key in BOOTS for turn in range(since, heads[key] + 1)]
    sent = data.draw(st.lists(st.sampled_from(messages), max_size=60))
    pending: list[Missing] = []
    for key, turn in sent:
        reader.now_s += data.draw(st.sampled_from([0.0, 0.01, 0.1]))
        if data.draw(st.booleans()):
            reader.take(key, turn)
        else:
            order.head(key, turn, reader.now_s)
        pending += order.missing(reader.now_s)
        while pending and (what := data.draw(st.sampled_from(["later", "answer", "fail"]))):
            if what == "later":
                break
            asked = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
            if what == "answer":
                reader.answer(asked)
            else:
                order.failed(asked, reader.now_s)
        for got_key, got in reader.got.items():
            assert got == list(range(since, since + len(got))), got_key
    for asked in pending:
        reader.answer(asked)
    for key, head in heads.items():
        order.head(key, head, reader.now_s)
    reader.repair()
    assert {key: reader.got.get(key, []) for key in BOOTS} == {
        key: list(range(since, head + 1)) for key, head in heads.items()
    }
    assert (order.waiting, order.gaps) == (0, 0)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_little_memory_doubles_nothing(data: st.DataObject) -> None:
    """With room for two boots a boot is forgotten and comes back, turns are left out; none comes
    twice or out of order while no message is as late as what is forgotten."""
    order: InOrder[int] = InOrder(boots=2, forget_s=10.0)
    reader = Reader(order)
    committed_s: dict[tuple[str, int], list[float]] = {key: [] for key in BOOTS}
    for _ in range(data.draw(st.integers(1, 30))):
        key = data.draw(st.sampled_from(BOOTS))
        committed_s[key].append(reader.now_s)
        head = len(committed_s[key])
        late = [t + 1 for t, s in enumerate(committed_s[key]) if reader.now_s - s < 10.0]
        turns = [head, data.draw(st.sampled_from(late))]
        for turn in data.draw(st.permutations(turns)):
            reader.take(key, turn)
        reader.repair()
        assert len(order) <= 2
        reader.now_s += data.draw(st.sampled_from([0.0, 1.0, 30.0]))
    for got in reader.got.values():
        turns = [turn for turn in got if isinstance(turn, int)]
        assert turns == sorted(set(turns))


def test_without_room_for_a_boot_it_is_left_out_and_counted() -> None:
    """Boots that were heard lately keep their places: in another's place turns would come twice."""
    order: InOrder[int] = InOrder(boots=1, forget_s=10.0)
    assert order.take(CAR, 1, 1, 0.0) == [1]
    assert order.take(("van", 1), 1, 1, 5.0) == []
    assert order.left_out == 1
    assert order.take(("van", 1), 2, 2, 20.0) == [2]
    assert (order.has_forgotten, order.next_turn(CAR)) == (True, None)
    order.forget(lambda key: key[0] == "van")
    assert len(order) == 0


def test_numbers_that_are_given_again() -> None:
    """Where the database has lost turns that were handed on, those with their numbers come too."""
    order: InOrder[str] = InOrder()
    assert [order.take(CAR, turn, f"old {turn}", 0.0) for turn in (1, 2, 3)] == [
        ["old 1"], ["old 2"], ["old 3"]
    ]  # fmt: skip
    assert order.take(CAR, 5, "old 5", 0.0) == []
    assert order.next_turns() == {CAR: 4}
    order.rewind(CAR, 1)
    assert (order.waiting, order.gaps) == (0, 0)
    assert order.take(CAR, 2, "new 2", 0.0) == ["new 2"]
    order.rewind(CAR, 7)  # ahead of what was handed on: nothing was lost
    assert order.next_turn(CAR) == 3
