"""Schemas out of types."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from wsserver.api_documents.json_schemas import Schemas


class Inner(msgspec.Struct):
    """What ``inner`` holds."""

    number: Annotated[int, Meta(ge=1)]


class Outer(msgspec.Struct):
    """Outside."""

    inner: Inner
    others: list[Inner] = []


def test_a_type_is_a_reference_to_what_it_is_made_of() -> None:
    schemas = Schemas([Outer])
    assert schemas.of(Outer) == {"$ref": "#/components/schemas/Outer"}
    assert schemas.resolved(Outer)["properties"]["inner"] == {"$ref": "#/components/schemas/Inner"}
    assert set(schemas.components()) == {"Inner", "Outer"}


def test_what_has_no_name_is_written_out() -> None:
    number = Annotated[int, Meta(ge=1)]
    schemas = Schemas([number])
    assert schemas.of(number) == schemas.resolved(number) == {"type": "integer", "minimum": 1}
    assert schemas.components() == {}


def test_some_may_be_left_out_of_the_components() -> None:
    assert set(Schemas([Outer, Inner]).components(without=[Outer])) == {"Inner"}


def test_several_types_are_any_of_them() -> None:
    schemas = Schemas([Inner, Outer])
    assert schemas.of((Inner, Outer)) == {
        "anyOf": [{"$ref": "#/components/schemas/Inner"}, {"$ref": "#/components/schemas/Outer"}]
    }


def test_a_type_that_was_not_named_has_no_schema() -> None:
    with pytest.raises(StopIteration):
        Schemas([Inner]).of(Outer)


def test_types_of_one_name_get_two() -> None:
    other = msgspec.defstruct("Inner", [("text", str)], module="elsewhere")
    assert len(Schemas([Inner, other]).components()) == 2


def test_descriptions_quote_code_as_markdown_does() -> None:
    assert Schemas([Inner]).resolved(Inner)["description"] == "What `inner` holds."
