"""Queries and paths become what is declared, or a refusal that names the parameter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from starlette.datastructures import QueryParams

from server.answers import BadParameter, Refusal
from server.api.decode import PathDecoder, QueryDecoder, document_path, path_parameters
from server.api.parameters import (
    INT64_MAX,
    PATH_TYPES,
    DeviceId,
    Identifier,
    Paging,
    Wanted,
    parse_instant_ns,
)
from server.catalogue import by_name
from server.export.job import Packing


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """Some of each kind."""

    count: Annotated[int, Meta(ge=1, le=10)] = 3
    is_full: msgspec.UnsetType | bool = msgspec.UNSET
    sources: list[str] = []
    numbers: list[int] = []
    ratio: float | None = None


def decoded(text: str, kind: type[msgspec.Struct] = Question) -> Any:
    """What a query is."""
    return QueryDecoder(kind).decode(QueryParams(text))


@pytest.mark.promise("E20")
def test_lists_come_several_times_or_with_commas() -> None:
    """Both forms of an array mean the same."""
    assert decoded("sources=gps&sources=obd").sources == ["gps", "obd"]
    assert decoded("sources=gps,obd").sources == ["gps", "obd"]
    assert decoded("numbers=1,2&numbers=3").numbers == [1, 2, 3]


@pytest.mark.promise("E21")
def test_lists_begin_at_0_and_end_after_1000() -> None:
    """A list without `limit` and `offset` is the first 1000."""
    page = decoded("", Paging)
    assert (page.limit, page.offset) == (1_000, 0)
    page = decoded("limit=5&offset=20", Paging)
    assert (page.limit, page.offset) == (5, 20)


@pytest.mark.parametrize(
    ("text", "where", "expected", "found"),
    [
        ("count=0", "count", "a whole number >= 1", "'0'"),
        ("count=11", "count", "a whole number <= 10", "'11'"),
        ("count=many", "count", "a whole number", "'many'"),
        ("count=", "count", "a whole number", "''"),
        ("count=1&count=2", "count", "one value", "several"),
        ("ratio=1%00", "ratio", "a text without NUL", "one with it"),
        ("numbers=1,x", "numbers[1]", "a whole number", "`str`"),
        ("cuont=1", "query", "one of count, is_full, sources, numbers, ratio", "'cuont'"),
    ],
)
def test_what_is_wrong_is_named(text: str, where: str, expected: str, found: str) -> None:
    """The refusal says which parameter, what it should be, and what it is."""
    with pytest.raises(BadParameter) as refused:
        decoded(text)
    assert refused.value.status == 400
    assert (refused.value.where, refused.value.expected, refused.value.found) == (
        where,
        expected,
        found,
    )


def test_a_form_is_decoded_like_a_query() -> None:
    """Forms go the same way; what is none is refused."""
    decoder = QueryDecoder(Question)
    assert decoder.decode_form(b"count=7&sources=a+b").sources == ["a b"]
    with pytest.raises(BadParameter, match="a form"):
        decoder.decode_form(b"\xff\xfe")
    with pytest.raises(BadParameter, match="a form"):
        decoder.decode_form(b"&".join([b"count=1"] * 5_000))


def test_times_in_both_forms() -> None:
    """ISO 8601 with any zone, or nanoseconds; what lies out of the range counts as its end."""
    wanted = decoded("start=2026-01-02T03:04:05.678Z&end_ns=7", Wanted)
    assert wanted.range_ns == (1767323045678000000, 7)
    assert decoded("", Wanted).range_ns == (0, INT64_MAX)
    assert parse_instant_ns("2026-01-02T04:04:05.678+01:00", "start") == 1767323045678000000
    assert parse_instant_ns("2026-01-02T04:04:05.678 01:00", "start") == 1767323045678000000
    assert parse_instant_ns("2026-01-02", "start") == 1767312000000000000
    assert parse_instant_ns("1066-10-14T00:00:00Z", "start") == 0
    assert parse_instant_ns("9999-01-01T00:00:00Z", "end") == INT64_MAX
    with pytest.raises(BadParameter) as refused:
        _ = decoded("start=yesterday", Wanted).range_ns
    assert (refused.value.where, refused.value.found) == ("start", "'yesterday'")


def test_signals_by_name_path_and_id() -> None:
    """A filter names signals as people know them."""
    rpm, speed = by_name("RPM"), by_name("SPEED")
    wanted = decoded(f"signal=RPM,{speed.id}&signal={rpm.path}", Wanted)
    assert wanted.signals == {rpm.id, speed.id}
    assert decoded("", Wanted).signals is None
    with pytest.raises(BadParameter) as refused:
        _ = decoded("signal=RPMS", Wanted).signals
    assert "RPM" in refused.value.found


def test_paths() -> None:
    """Parameters of a path are checked; what cannot be is not found."""
    path = "/api/v1/devices/{device}/commands/{command:int}"
    assert path_parameters(path) == {"device": "", "command": "int"}
    assert document_path(path) == "/api/v1/devices/{device}/commands/{command}"
    decoder = PathDecoder({"device": PATH_TYPES["device"], "command": Identifier, "text": str})
    assert decoder.decode({"device": "esp-1", "command": "7"}) == {"device": "esp-1", "command": 7}
    wrong: list[tuple[str, Any]] = [
        ("device", "-1"),
        ("device", "a" * 65),
        ("device", "esp-1\n"),
        ("command", "0"),
        ("command", str(2**63)),
        ("text", "a\0b"),
        ("text", "a\nb"),
    ]
    for name, value in wrong:
        with pytest.raises(Refusal) as refused:
            decoder.decode({name: value})
        assert (refused.value.status, refused.value.where) == (404, name), value


def test_the_pattern_of_a_device_is_the_registry_s() -> None:
    """What the document says of a device's id is what the registry takes."""
    from server.devices.key import DEVICE_ID

    for text in ("a", "A.b_c-9", "", "-a", "a" * 64, "a" * 65, "ä", "a b", "a/b", "9"):
        try:
            msgspec.convert(text, DeviceId)
            fits = True
        except msgspec.ValidationError:
            fits = False
        assert fits == bool(DEVICE_ID.fullmatch(text)), text


def test_words_of_a_choice_are_told() -> None:
    """Who asks for what is none of the words is told all of them."""

    class Chosen(msgspec.Struct):
        packing: Packing | None = None
        order: Literal["up", "down"] = "up"

    for text, expected in (
        ("packing=br", "one of none, gzip, zstd"),
        ("order=sideways", "one of down, up"),
    ):
        with pytest.raises(BadParameter) as refused:
            decoded(text, Chosen)
        assert refused.value.expected == expected
