"""Reads scenario files: one `Scenario` for each combination of `matrix:`."""

from __future__ import annotations

import difflib
import importlib.util
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from rig.faults.catalogue import FAULT_KINDS, TARGETS, possible_kinds
from rig.faults.spec import FaultSpec
from rig.measures.names import LINKS
from rig.scenario.document import Node, Variables, read_document, suggestion
from rig.scenario.drive import recorded_course
from rig.scenario.errors import MissingExtraError
from rig.scenario.faults import ESP32, read_faults, wires_of
from rig.scenario.fleet import FLEET
from rig.scenario.gateway import read_gateway
from rig.scenario.limits import MODES, read_after, read_limits
from rig.scenario.model import CAN, MESH, OBD, Scenario
from rig.scenario.phases import read_phases
from rig.scenario.wires import with_wires
from rig.scenario.world import read_world

SCENARIO_KEYS = (
    "rig",
    "name",
    "about",
    "needs",
    "tags",
    "seed",
    "mode",
    "matrix",
    "world",
    "gateway",
    "phases",
    "faults",
    "limits",
    "after",
)
FORMAT_VERSION = 1
USUAL_LINKS = ("obd", "gps")
EXTRA_PACKAGES = {MESH: ("meshtastic",), CAN: ("can", "cantools")}
LEAP_SECOND = "leap_second"
SUFFIX = ".scenario.yaml"
MAXIMUM_VARIANTS = 1000


def expand_scenario(path: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of `path`: one, or one for each combination of its `matrix:`.

    Raises:
        ScenarioError: the file cannot be used; the message says where, what was expected and what
            stands there.
    """
    root = read_document(path)
    matrix = _read_matrix(path, root)
    combinations = [
        dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())
    ]
    used: set[str] = set()
    scenarios = tuple(_read_scenario(path, root, values, used) for values in combinations)
    _refuse_unused(path, root, set(matrix) - used)
    return scenarios


def load_scenario(path: Path, variant: str = "") -> Scenario:
    """Return the one scenario of `path`, or the variant of that name.

    Args:
        path: the file.
        variant: "baud=38400" where the file has a `matrix:`.

    Raises:
        ScenarioError: the file cannot be used, or has no such variant.
    """
    scenarios = expand_scenario(path)
    for scenario in scenarios:
        if scenario.variant == variant:
            return scenario
    variants = [scenario.variant for scenario in scenarios if scenario.variant]
    root = Node(path, read_document(path), Variables({}, set()))
    if not variants:
        raise root.error("no variant: the file has no 'matrix'", repr(variant))
    expected = f"one of its variants: {', '.join(variants)}"
    raise root.error(expected, repr(variant) if variant else "none", suggestion(variant, variants))


def _read_matrix(path: Path, root: yaml.Node) -> dict[str, list[str]]:
    table = Node(path, root, Variables({}, set())).as_table("a scenario", SCENARIO_KEYS)
    node = table.get("matrix")
    if node is None or node.is_null:
        return {}
    matrix: dict[str, list[str]] = {}
    size = 1
    for entry in node.as_table("'matrix'"):
        name = entry.key.as_name("a variable's name")
        if "-" in name:
            raise entry.key.error("a variable's name without '-'", repr(name))
        items = entry.value.as_list("a list of values such as [38400, 115200]")
        values = [item.as_text("a plain value") for item in items]
        if not values or len(set(values)) != len(values):
            raise entry.value.error("at least one value, and each once")
        matrix[name] = values
        size *= len(values)
        if size > MAXIMUM_VARIANTS:
            raise node.error(f"at most {MAXIMUM_VARIANTS} combinations", f"{size} or more")
    return matrix


def _refuse_unused(path: Path, root: yaml.Node, unused: set[str]) -> None:
    if not unused:
        return
    name = min(unused)
    matrix = Node(path, root, Variables({}, set())).as_table("a scenario").require("matrix", "")
    entry = matrix.as_table("'matrix'").entry(name)
    assert entry is not None
    raise entry.key.error(f"'${name}' somewhere in the file", "no use of it")


def _read_scenario(
    path: Path, root: yaml.Node, values: Mapping[str, str], used: set[str]
) -> Scenario:
    node = Node(path, root, Variables(values, used))
    table = node.as_table("a scenario", SCENARIO_KEYS)
    version = table.require("rig", "rig: 1")
    if version.as_text() != str(FORMAT_VERSION):
        raise version.error(f"format version {FORMAT_VERSION}")
    needs, features = _read_needs(table.get("needs"))
    _refuse_what_is_not_installed(table.get("needs"), needs)
    phases = read_phases(table.require("phases", "phases: [{idle: 30 s}]"))
    seed, mode, name, about = (table.get(key) for key in ("seed", "mode", "name", "about"))
    limits = read_limits(table.get("limits"), [phase.name for phase in phases], needs)
    after = read_after(table.get("after"), needs)
    if not limits:
        hint = "without one it would always pass"
        raise node.error("at least one entry under 'limits'", "none", hint)
    unfinished = Scenario(
        name=_default_name(path) if name is None else name.as_text("a name"),
        path=path,
        variant=",".join(f"{key}={value}" for key, value in values.items()),
        about="" if about is None else about.as_text("a description"),
        seed=1 if seed is None else seed.as_integer("'seed'", 0, 2**63 - 1),
        needs=needs,
        tags=_read_tags(table.get("tags")),
        mode="virtual" if mode is None else mode.as_word(MODES, "a mode"),
        matrix=dict(values),
        world=read_world(table.get("world")),
        gateway=read_gateway(table.get("gateway")),
        phases=phases,
        faults=(),
        limits=limits,
        after=after,
        features=features,
    )
    unfinished = with_wires(table.get("world"), unfinished)
    faults = read_faults(table.get("faults"), unfinished.windows, needs)
    _refuse_what_has_no_wire(table.get("faults"), unfinished, faults)
    _refuse_a_leap_second_by_day(table.get("faults"), unfinished, faults)
    _refuse_what_the_gateway_refuses(table.get("gateway"), unfinished)
    _refuse_what_is_no_course(table.require("phases", ""), unfinished)
    return replace(unfinished, faults=faults)


def _refuse_what_has_no_wire(
    node: Node | None, scenario: Scenario, faults: Sequence[FaultSpec]
) -> None:
    """TCP delivers what was sent, or nothing; an ELM327 shows nothing of the bus behind it."""
    if node is None or node.is_null:
        return
    wires = wires_of(scenario)
    for item, fault in zip(node.as_list("faults"), faults, strict=True):
        if fault.link in TARGETS or set(FAULT_KINDS[fault.kind].wires) & set(wires[fault.link]):
            continue
        what, other = _how_it_is_reached(fault, wires[fault.link])
        possible = ", ".join(word for word, _ in possible_kinds((fault.link,), wires))
        raise item.error(f"a fault that can strike {what}: {possible}", repr(fault.kind), other)


def _refuse_a_leap_second_by_day(
    node: Node | None, scenario: Scenario, faults: Sequence[FaultSpec]
) -> None:
    """A leap second comes at midnight (UTC) or not at all."""
    if node is None or node.is_null or all(fault.kind != LEAP_SECOND for fault in faults):
        return
    from rig.assembly import lead_in_s

    day_s = 86_400
    begin_s = scenario.world.epoch_ns / 1e9 % day_s + lead_in_s(scenario)
    for item, fault in zip(node.as_list("faults"), faults, strict=True):
        if fault.kind == LEAP_SECOND and not any(
            (begin_s + start_s) // day_s < (begin_s + end_s) // day_s
            for start_s, end_s in fault.windows
        ):
            clock = [time.strftime("%H:%M:%S", time.gmtime(begin_s + s)) for s in fault.windows[0]]
            raise item.error(
                f"{LEAP_SECOND!r} over a midnight (UTC)",
                f"{clock[0]} to {clock[1]}",
                "`world: {start: 2026-12-31T23:59:00Z}`",
            )


def _how_it_is_reached(fault: FaultSpec, wires: Sequence[str]) -> tuple[str, str]:
    """Return what a fault would strike, and what would let it."""
    if fault.link == MESH:
        over_tcp = ("a radio over TCP", "or `transport: serial`")
        return over_tcp if "tcp" in wires else ("a radio on its cable", "or `transport: tcp`")
    if "elm327" in FAULT_KINDS[fault.kind].wires:
        return "an OBD link without an ELM327", "or no `over: can`"
    if "tcp" in wires:
        return "the bus over TCP", "or `door: slcan`"
    if fault.link == OBD and fault.kind.startswith("can_"):
        return "an OBD link with an adapter", "or `world: {obd: {over: can}}`"
    if fault.link == ESP32:
        return "boards on a cable", "or `transport: wifi`"
    return f"{fault.link!r} on a cable", "or `door: socketcand`"


def _refuse_what_the_gateway_refuses(node: Node | None, scenario: Scenario) -> None:
    """Let the gateway judge its own configuration before anything runs."""
    if node is None or node.is_null:
        return
    from rig.assembly import gateway_config, gateway_ports, tcp_links
    from rig.mesh.setup import RADIO_LINES
    from rig.toml_text import toml_text
    from server.config import parse_config
    from server.errors import ConfigError

    ports = {name: f"/dev/{name}" for name in (*gateway_ports(scenario), *RADIO_LINES)}
    ports |= {name: f"tcp://{name}.test:1" for name in tcp_links(scenario)}
    try:
        text = toml_text(gateway_config(scenario, ports, "postgresql://localhost/", 0))
        parse_config(text, "gateway.toml", {})
    except ConfigError as error:
        expected = f"a configuration that the gateway takes: {error.expected}"
        raise node.error(expected, error.found) from error
    except (TypeError, ValueError) as error:
        raise node.error("values that TOML can hold under 'gateway'", str(error)) from error


def _refuse_what_is_no_course(phases: Node, scenario: Scenario) -> None:
    """Build the course of a recorded drive once, so that bad positions are the file's mistake."""
    if scenario.world.route is not None or all(phase.path is None for phase in scenario.phases):
        return
    from sim.route import RouteError

    try:
        recorded_course(scenario)
    except RouteError as error:
        expected = "a recorded drive whose positions make a course, or `world: {route: …}`"
        raise phases.error(expected, str(error)) from error


def _default_name(path: Path) -> str:
    return path.name.removesuffix(SUFFIX)


def _read_needs(node: Node | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the links, and the further words: features that a bench must have."""
    if node is None:
        return USUAL_LINKS, ()
    items = node.as_list("a list of links: [obd, gps]")
    needs = [item.as_name("a link, or a feature of a bench") for item in items]
    links = tuple(word for word in needs if word in LINKS)
    features = tuple(word for word in needs if word not in LINKS)
    for item, word in zip(items, needs, strict=True):
        # A slip of the pen must not become a feature, for which no bench would ever run it.
        if word in features and difflib.get_close_matches(word.lower(), LINKS, n=1, cutoff=0.6):
            raise item.error("a link, or a feature of a bench", hint=suggestion(word, LINKS))
    if not links or len(set(needs)) != len(needs):
        raise node.error(f"at least one link ({', '.join(LINKS)}), and each word once")
    if FLEET in links and links != (FLEET,):
        raise node.error(f"{FLEET!r} alone: of a fleet no single reading is on the record")
    return links, features


def _refuse_what_is_not_installed(node: Node | None, needs: Sequence[str]) -> None:
    """Say before anything runs what the world's radios, or its bus, lack."""
    for link, packages in EXTRA_PACKAGES.items():
        for package in packages if node is not None and link in needs else ():
            if importlib.util.find_spec(package) is None:
                assert node is not None
                raise MissingExtraError(
                    node.path,
                    node.line,
                    f"the package {package!r} for the link {link!r}",
                    "none",
                    f"pip install 'telerig[{link}]'",
                    column=node.column,
                )


def _read_tags(node: Node | None) -> tuple[str, ...]:
    if node is None or node.is_null:
        return ()
    return tuple(item.as_name("a tag") for item in node.as_list("a list of tags: [long]"))
