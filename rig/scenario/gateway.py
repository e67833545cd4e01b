"""The `gateway:` section: the plan of signals and rates, and what else the scenario sets."""

from __future__ import annotations

from collections.abc import Mapping

from rig.quantity import DURATION, RATE, SIZE
from rig.scenario.can import read_can_plan
from rig.scenario.document import Entry, Node, Plain, Table, suggestion
from rig.scenario.mesh import read_mesh_plan
from rig.scenario.model import DEFAULT_PLAN_HZ, GatewaySpec, StoreSpec

GATEWAY_KEYS = (
    "plan",
    "flush",
    "publish",
    "queue",
    "reply_timeout",
    "stale",
    "fast",
    "protocol",
    "mesh",
    "can",
    "store",
    "config",
)
STORE_KEYS = ("compact_after", "compact_size", "window")
DAY_S = 86_400
# Faster than any adapter: "as fast as it goes" is a rate of 1000 Hz.
MAXIMUM_RATE_HZ = 1000.0
UPLINK = "radio"
"""The car's link to its Meshtastic radio."""
OBD_PROTOCOLS = tuple("0123456789ABC")


def read_gateway(node: Node | None) -> GatewaySpec:
    """Return what the section sets; what it leaves out keeps the gateway's default."""
    if node is None or node.is_null:
        return GatewaySpec()
    table = node.as_table("'gateway'", GATEWAY_KEYS)
    plan, queue, fast = table.get("plan"), table.get("queue"), table.get("fast")
    protocol, config = table.get("protocol"), table.get("config")
    return GatewaySpec(
        plan=dict(DEFAULT_PLAN_HZ) if plan is None else _read_plan(plan),
        flush_ms=_milliseconds(table, "flush"),
        publish_ms=_milliseconds(table, "publish"),
        queue_readings=None if queue is None else queue.as_integer("'queue'", 1, 10_000_000),
        reply_timeout_s=_seconds(table, "reply_timeout"),
        stale_s=_seconds(table, "stale"),
        fast=None if fast is None else fast.as_boolean("'fast'"),
        protocol=None if protocol is None else protocol.as_word(OBD_PROTOCOLS, "an OBD protocol"),
        mesh=read_mesh_plan(table.get("mesh")),
        can=read_can_plan(table.get("can")),
        store=_read_store(table.get("store")),
        config={} if config is None else _read_config(config),
    )


def _read_plan(node: Node) -> dict[str, float]:
    names = obd_signal_names()
    plan: dict[str, float] = {}
    for entry in node.as_table("'plan'"):
        if entry.word not in names:
            hint = suggestion(entry.word, names)
            raise entry.key.error("an OBD signal of the catalogue", repr(entry.word), hint)
        plan[entry.word] = _rate_hz(entry)
    if not plan:
        raise node.error("at least one signal such as {RPM: 5 Hz}", "an empty plan")
    return plan


def _read_store(node: Node | None) -> StoreSpec | None:
    if node is None:
        return None
    table = node.as_table("'store'", STORE_KEYS)
    after, size, window = (table.get(key) for key in STORE_KEYS)
    return StoreSpec(
        None if after is None else after.as_quantity(DURATION, minimum=0.05, maximum=DAY_S),
        None if size is None else round(size.as_quantity(SIZE, minimum=1, maximum=2**40)),
        None if window is None else _window_s(window),
    )


def _window_s(node: Node) -> float:
    window_s = node.as_quantity(DURATION, minimum=60.0, maximum=DAY_S)
    if DAY_S % window_s:
        raise node.error("a duration that a day has a whole number of, such as '10 min'")
    return window_s


def _rate_hz(entry: Entry) -> float:
    return entry.value.as_quantity(RATE, above=0.0, maximum=MAXIMUM_RATE_HZ)


def _seconds(table: Table, key: str) -> float | None:
    node = table.get(key)
    return None if node is None else node.as_quantity(DURATION, above=0.0, maximum=3600.0)


def _milliseconds(table: Table, key: str) -> float | None:
    duration_s = _seconds(table, key)
    return None if duration_s is None else duration_s * 1000.0


# What the rig sets itself: where the world's ports, the run's database and the API are.
RESERVED_KEYS = (
    ("api", "secret"),
    ("database", "url"),
    ("http", "host"),
    ("http", "port"),
    *(
        (("links", link, key))
        for link in ("obd", "gps", "esp32", UPLINK)
        for key in ("kind", "port", "baud")
    ),
    ("links", "obd", "can"),
    *(
        ("links", "can", key)
        for key in ("kind", "interface", "channel", "host", "port", "bitrate", "dbc", "signals")
    ),
)


def _read_config(node: Node) -> Mapping[str, Plain]:
    for path in RESERVED_KEYS:
        inner: Node | None = node
        for key in path:
            if inner is None:
                break
            inner = inner.as_table("'config'").get(key)
        if inner is not None:
            raise inner.error(
                f"no {'.'.join(path)!r} in 'config'", hint="the rig sets it; leave it out"
            )
    plain = node.as_plain()
    assert isinstance(plain, dict)
    return plain


def obd_signal_names() -> tuple[str, ...]:
    """Return the names of the signals that an OBD plan can ask for."""
    from server.catalogue import CATALOGUE

    return tuple(signal.name for signal in CATALOGUE if signal.source.startswith("obd:"))
