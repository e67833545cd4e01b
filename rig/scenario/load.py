"""Reads scenario files: one `Scenario` for each combination of `matrix:`."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from rig.faults.catalogue import FAULT_KINDS
from rig.faults.spec import FaultSpec
from rig.measures.names import LINKS
from rig.scenario.document import Node, Variables, read_document, suggestion
from rig.scenario.drive import recorded_course
from rig.scenario.errors import MissingExtraError
from rig.scenario.faults import read_faults
from rig.scenario.gateway import read_gateway
from rig.scenario.limits import MODES, read_after, read_limits
from rig.scenario.model import CAN, MESH, OBD, Scenario
from rig.scenario.phases import read_phases
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
TCP_FAULTS = ("hang_up", "radio_reboot", "radio_freeze", "radio_fade")
CAN_FAULTS = ("hang_up", *(kind for kind in FAULT_KINDS if kind.startswith("can_")))
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
    needs = _read_needs(table.get("needs"))
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
    )
    faults = read_faults(table.get("faults"), unfinished.windows, needs)
    _refuse_what_tcp_cannot_suffer(table.get("faults"), unfinished, faults)
    _refuse_what_has_no_door(table.get("faults"), unfinished, faults)
    _refuse_what_the_gateway_refuses(table.get("gateway"), unfinished)
    _refuse_what_is_no_course(table.require("phases", ""), unfinished)
    return replace(unfinished, faults=faults)


def _refuse_what_tcp_cannot_suffer(
    node: Node | None, scenario: Scenario, faults: Sequence[FaultSpec]
) -> None:
    """TCP delivers what was sent, or nothing."""
    if node is None or node.is_null:
        return
    from rig.can.setup import socketcand_links

    at_bus = ("the bus", CAN_FAULTS, "door: slcan")
    over_tcp = dict.fromkeys(socketcand_links(scenario), at_bus)
    if scenario.world.mesh.transport == "tcp":
        over_tcp[MESH] = ("a radio", TCP_FAULTS, "transport: serial")
    for item, fault in zip(node.as_list("faults"), faults, strict=True):
        what, possible, other = over_tcp.get(fault.link, ("", (fault.kind,), ""))
        if fault.kind not in possible:
            expected = f"a fault that can strike {what} over TCP: {', '.join(possible)}"
            raise item.error(expected, repr(fault.kind), f"or `{other}`")


def _refuse_what_has_no_door(
    node: Node | None, scenario: Scenario, faults: Sequence[FaultSpec]
) -> None:
    """An ELM327 shows nothing of the bus that a fault could take hold of."""
    if node is None or node.is_null or scenario.world.obd.can is not None:
        return
    for item, fault in zip(node.as_list("faults"), faults, strict=True):
        if fault.link == OBD and fault.kind.startswith("can_"):
            expected = "a fault that can strike an OBD link with an adapter"
            raise item.error(expected, repr(fault.kind), "or `world: {obd: {over: can}}`")


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


def _read_needs(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return USUAL_LINKS
    needs = [item.as_word(LINKS, "a link") for item in node.as_list("a list of links: [obd, gps]")]
    if not needs or len(set(needs)) != len(needs):
        raise node.error("at least one link, and each once")
    return tuple(needs)


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
