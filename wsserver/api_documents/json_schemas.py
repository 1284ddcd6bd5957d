"""JSON Schemas of the types that requests are decoded into and answers are made of."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{name}"
"""Where both documents keep the schemas that have a name."""


class Schemas:
    """The schemas of a document's types: each type once, under its name, and references to it."""

    def __init__(self, types: Iterable[Any]) -> None:
        """All types of the document, for only together do they get names that differ."""
        asked: list[Any] = []
        # By identity: not everything that describes a type can be hashed.
        for one in types:
            if not any(one is other for other in asked):
                asked.append(one)
        schemas, components = msgspec.json.schema_components(asked, ref_template=REFERENCE)
        self._asked = asked
        self._schemas: list[Schema] = [_with_plain_text(schema) for schema in schemas]
        self._components: dict[str, Schema] = {
            name: _with_plain_text(schema) for name, schema in sorted(components.items())
        }

    def of(self, form: Any) -> Schema:
        """The schema of one of the types, mostly a reference; ``form`` may be a tuple: any of them."""
        if isinstance(form, tuple):
            return {"anyOf": [self.of(one) for one in form]}
        return next(schema for asked, schema in zip(self._asked, self._schemas, strict=True) if asked is form)

    def resolved(self, form: Any) -> Schema:
        """The same with its members instead of a reference."""
        schema = self.of(form)
        return self._components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def components(self, *, without: Iterable[Any] = ()) -> dict[str, Schema]:
        """Every schema with a name, but for those of these types."""
        left_out = {self.of(one).get("$ref", "").rpartition("/")[2] for one in without}
        return {name: schema for name, schema in self._components.items() if name not in left_out}


def _with_plain_text(value: Any) -> Any:
    """Descriptions as Markdown: docstrings quote code twice."""
    if isinstance(value, dict):
        return {
            name: member.replace("``", "`")
            if name == "description" and isinstance(member, str)
            else _with_plain_text(member)
            for name, member in value.items()
        }
    return [_with_plain_text(member) for member in value] if isinstance(value, list) else value
