"""The figures that are kept over time."""

from wsserver.status.columns import COLUMNS, described


def test_columns_have_names_of_their_own():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert described()[0] == {"name": "connections", "unit": "connections", "kind": "gauge"}
