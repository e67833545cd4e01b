"""The catalogue: every entry complete."""

from __future__ import annotations

import pytest

from rig.faults import FAULT_KINDS
from rig.faults.catalogue import TARGETS
from rig.measures.names import LINKS


@pytest.mark.parametrize("word", sorted(FAULT_KINDS))
def test_every_kind_is_complete(word: str) -> None:
    """Known links, a sentence, a primary parameter that exists, choices or a dimension."""
    kind = FAULT_KINDS[word]
    assert kind.word == word
    assert kind.links
    assert set(kind.links) <= {*LINKS, *TARGETS}
    assert bool(kind.wires) == bool(set(kind.links) & set(LINKS))
    assert kind.about.endswith(".")
    assert kind.primary in (None, "for", *(parameter.word for parameter in kind.parameters))
    for parameter in kind.parameters:
        assert (parameter.dimension is None) == bool(parameter.choices)
        assert (
            parameter.default is None
            or parameter.dimension
            or (parameter.default in parameter.choices)
        )
        assert parameter.about
