"""The `world: {esp32: …}` section: the boards, their plan, their air."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import server.wire
from firmware_stubs.plan import Plan, PlanError
from rig.quantity import COUNT, DURATION, PERCENTAGE, RATE
from rig.scenario.document import Entry, Node, Table, suggestion
from rig.scenario.model import BOARD_GPS_SIGNALS, Esp32Spec, GpsSpec, WifiSpec
from rig.scenario.world_names import receiver_profiles
from server.wire.codec.profile import Profile

ESP32_KEYS = (
    "count",
    "segment",
    "transport",
    "profile",
    "flush",
    "gps",
    "wifi",
    "provisioned",
    "plan",
    "bounds",
)
BOARD_GPS_KEYS = ("profile", "rate", "cold_start")
WIFI_KEYS = ("latency", "loss")
TRANSPORTS = ("wifi", "serial")
SEGMENTS = ("shared", "own")
MAXIMUM_BOARDS = 500
MAXIMUM_LATENCY_S = 10.0
MAXIMUM_FLUSH_S = 600.0
GRID_ERROR = 0.001  # a rate that the board's grid changes by more is another rate


def read_esp32(node: Node | None) -> Esp32Spec:
    """Return the boards that the section describes; what it leaves out has its default."""
    default = Esp32Spec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'esp32'", ESP32_KEYS)
    count, transport, profile = (table.get(key) for key in ("count", "transport", "profile"))
    segment = table.get("segment")
    provisioned, plan, flush = (table.get(key) for key in ("provisioned", "plan", "flush"))
    spec = Esp32Spec(
        count=1 if count is None else count.as_integer("'count'", 1, MAXIMUM_BOARDS),
        segment=None if segment is None else segment.as_word(SEGMENTS, "'shared' or 'own'"),
        transport=default.transport
        if transport is None
        else transport.as_word(TRANSPORTS, "a transport"),
        flush_s=None
        if flush is None
        else flush.as_quantity(DURATION, minimum=1.0, maximum=MAXIMUM_FLUSH_S),
        profile=None if profile is None else profile_path(profile),
        gps=_read_gps(table, default.gps),
        wifi=_read_wifi(table.get("wifi")),
        provisioned=True if provisioned is None else provisioned.as_boolean("'provisioned'"),
        plan=dict(default.plan) if plan is None else _read_plan(plan),
        bounds=_read_bounds(table.get("bounds")),
    )
    _refuse_what_the_firmware_refuses(node, spec)
    return spec


def _read_gps(table: Table, default: GpsSpec) -> GpsSpec:
    from sim.gnss import PROFILES

    node = table.get("gps")
    if node is None or node.is_null:
        return default
    inner = node.as_table("'gps' of 'esp32'", BOARD_GPS_KEYS)
    profile_node, rate_node = inner.get("profile"), inner.get("rate")
    profile = default.profile
    if profile_node is not None:
        profile = profile_node.as_word(receiver_profiles(), "a profile")
    rate_hz = default.rate_hz
    if rate_node is not None:
        maximum = PROFILES[profile].max_rate_hz
        rate_hz = rate_node.as_quantity(RATE, minimum=0.1, maximum=maximum)
    return GpsSpec(
        profile=profile,
        rate_hz=rate_hz,
        baud=default.baud,
        cold_start_s=inner.quantity("cold_start", DURATION, 0.0, minimum=0.0, maximum=3600.0),
        sentences=default.sentences,
    )


def _read_wifi(node: Node | None) -> WifiSpec:
    default = WifiSpec()
    if node is None or node.is_null:
        return default
    table = node.as_table("'wifi'", WIFI_KEYS)
    latency = table.get("latency")
    return WifiSpec(
        latency_s=default.latency_s if latency is None else latency_range_s(latency),
        loss_pct=table.quantity("loss", PERCENTAGE, 0.0, minimum=0.0, maximum=90.0),
    )


def latency_range_s(node: Node, maximum_s: float = MAXIMUM_LATENCY_S) -> tuple[float, float]:
    """Return the shortest and the longest of one duration, or of two."""
    bounds_s = [
        item.as_quantity(DURATION, minimum=0.0, maximum=maximum_s) for item in node.as_list_or_one()
    ]
    if len(bounds_s) == 1:
        return bounds_s[0], bounds_s[0]
    if len(bounds_s) != 2 or bounds_s[0] > bounds_s[1]:
        raise node.error("one duration, or [shortest, longest] such as [8 ms, 20 ms]")
    return bounds_s[0], bounds_s[1]


def _read_plan(node: Node) -> dict[str, float]:
    from rig.scenario.gateway import obd_signal_names

    plan = {
        entry.word: entry.value.as_quantity(RATE, above=0.0)
        for entry in _known(node, "'plan'", obd_signal_names(), "an OBD signal of the catalogue")
    }
    if not plan:
        raise node.error("at least one signal such as {RPM: 5 Hz}", "an empty plan")
    return plan


def _read_bounds(node: Node | None) -> dict[str, float]:
    from rig.scenario.gateway import obd_signal_names

    if node is None or node.is_null:
        return {}
    names = (*obd_signal_names(), *BOARD_GPS_SIGNALS)
    return {
        entry.word: entry.value.as_quantity(COUNT, minimum=0.0)
        for entry in _known(node, "'bounds'", names, "a signal that boards can sample")
    }


def _known(node: Node, what: str, names: Collection[str], expected: str) -> Iterator[Entry]:
    for entry in node.as_table(what):
        if entry.word not in names:
            raise entry.key.error(expected, repr(entry.word), suggestion(entry.word, names))
        yield entry


def _refuse_what_the_firmware_refuses(node: Node, spec: Esp32Spec) -> None:
    """Let the firmware make its plan of it before anything runs."""
    try:
        plan = Plan(spec.wish)
    except PlanError as error:
        raise node.error("a plan that the firmware takes", str(error)) from error
    _refuse_what_is_no_profile(node, spec, plan)
    wanted_hz = {**spec.plan, **dict.fromkeys(BOARD_GPS_SIGNALS, spec.gps.rate_hz)}
    for name, rate_hz in plan.rates().items():
        if abs(rate_hz / wanted_hz[name] - 1.0) > GRID_ERROR:
            raise node.error(
                "rates that the firmware's grid of 50 or 100 ms has",
                f"{wanted_hz[name]:g} Hz for {name}",
                f"nearest: {rate_hz:g} Hz",
            )


def profile_path(node: Node) -> Path:
    """Return the file beside the scenario, or the one of that name that the codec brings along."""
    expected = "a file with a trained codec profile"
    text = node.as_text(expected)
    brought = Path(server.wire.__file__).with_name("profiles")
    for path in (node.path.parent / text, brought / text, *sorted(brought.glob(f"{text}.*"))):
        if path.is_file():
            return path
    hint = suggestion(text, [path.stem for path in sorted(brought.glob("*.*"))])
    raise node.error(expected, f"no such file: {text!r}", hint)


def _refuse_what_is_no_profile(node: Node, spec: Esp32Spec, plan: Plan) -> None:
    if spec.profile is None:
        return
    data = spec.profile.read_bytes()
    try:
        trained = Profile.from_bytes(data)
    except ValueError as error:
        raise node.error(f"a trained codec profile in {spec.profile}", str(error)) from error
    if plan.profile(data).hash != trained.hash:
        raise node.error(
            f"the plan that {spec.profile} was trained for: the same signals, rates and bounds",
            "another plan",
        )
