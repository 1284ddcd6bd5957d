"""What settings are made of: kinds of values with their bounds and units, in sections."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
Secret = Annotated[str, Meta(min_length=1, extra={"secret": True})]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000, extra={"unit": "seconds"})]
SomeSeconds = Annotated[float, Meta(ge=0.001, le=31_536_000, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1, le=2**40, extra={"unit": "bytes"})]
# Frames are built in one piece and lengths are 32-bit in the binary protocol.
MessageBytes = Annotated[int, Meta(ge=128, le=2**30, extra={"unit": "bytes"})]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
CountOrZero = Annotated[int, Meta(ge=0, le=10_000_000)]
Percent = Annotated[float, Meta(ge=0.1, le=100, extra={"unit": "percent"})]
PerSecond = Annotated[float, Meta(ge=0.01, le=1_000_000)]
RateBytes = Annotated[int, Meta(ge=1024, le=2**40, extra={"unit": "bytes"})]

SECRET_MASK = "********"  # noqa: S105 -- what is shown instead of a secret


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of settings whose text form never shows a secret."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        members = []
        for info in msgspec.structs.fields(type(self)):
            value = getattr(self, info.name)
            masked = value is not None and metadata(info.type).get("secret")
            members.append((info.name, SECRET_MASK if masked else value))
        return members

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({members})"


def metadata(annotation: Any) -> dict[str, Any]:
    """What the annotation of a setting says beyond its type: ``unit``, ``secret``."""
    found: dict[str, Any] = {}
    for part in getattr(annotation, "__args__", ()):
        found |= metadata(part)
    for part in getattr(annotation, "__metadata__", ()):
        found |= getattr(part, "extra", None) or {}
    return found
