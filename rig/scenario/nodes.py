"""YAML nodes made in code, for a file that is written from parts of another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml

_RESOLVER = yaml.resolver.Resolver()
_PLAIN = (True, False)


def scalar(text: str) -> yaml.ScalarNode:
    """Return a plain scalar; a text that YAML would take for something else gets quotes."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, _PLAIN)  # type: ignore[no-untyped-call]
    return yaml.ScalarNode(tag, text)


def flow(values: dict[str, str]) -> yaml.MappingNode:
    """Return `{key: text, …}`."""
    return mapping([(key, scalar(text)) for key, text in values.items()], flow=True)


def mapping(entries: Iterable[tuple[str, yaml.Node]], *, flow: bool = False) -> yaml.MappingNode:
    """Return a mapping; with `flow` as `{…}` on a line."""
    pairs = [(scalar(key), value) for key, value in entries]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=flow)


def sequence(nodes: Sequence[yaml.Node]) -> yaml.SequenceNode:
    """Return a list, an item a line."""
    return yaml.SequenceNode("tag:yaml.org,2002:seq", list(nodes), flow_style=False)


def pairs_of(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    """Return keys and values of a mapping, in the file's order."""
    return [(str(key.value), value) for key, value in node.value]
