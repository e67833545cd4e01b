"""Listings become parts of a page."""

from __future__ import annotations

import json

from reports.view.listing import Action, Column, Kind, Listing, Tab, place, placed, tabs

CARS = Listing(
    name="cars",
    api="/api/cars/{yard}",
    rows="cars",
    columns=(Column(key="id", label="Car"), Column(key="km", label="Way", kind=Kind.NUMBER)),
    row_actions=(Action(name="wash", label="Wash", role="operator", method="POST", path="/wash"),),
)


def test_a_listing_is_the_part_table_with_its_options() -> None:
    """What nobody has said is left out; values for its addresses go beside it."""
    made = place(CARS, id="cars", yard="north/1").to_plotly_json()["props"]
    assert (made["id"], made["data-part"]) == ("cars", "table")
    options = json.loads(made["data-options"])
    assert options["vars"] == {"yard": "north/1"}
    assert options["listing"] == {
        "name": "cars",
        "api": "/api/cars/{yard}",
        "rows": "cars",
        "columns": [
            {"key": "id", "label": "Car"},
            {"key": "km", "label": "Way", "kind": "number"},
        ],
        "row_actions": [
            {
                "name": "wash",
                "label": "Wash",
                "role": "operator",
                "method": "POST",
                "path": "/wash",
            }
        ],
    }


def test_tabs_hold_parts() -> None:
    """Each with its name, its words and who may see it."""
    one = Tab(name="cars", label="Cars", parts=(placed(CARS, yard="x"),), role="admin")
    options = json.loads(tabs("Yard", one, id="t").to_plotly_json()["props"]["data-options"])
    (tab,) = options["tabs"]
    assert (options["label"], tab["name"], tab["role"]) == ("Yard", "cars", "admin")
    assert tab["parts"][0]["part"] == "table"
