"""Every setting by its name ``section.name``, and the nearest one to a name that is none."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from wsserver.settings.fields import metadata
from wsserver.settings.sections import Settings

ENVIRONMENT_PREFIX = "WSSERVER_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: where it stands and what its values are."""

    section: str
    name: str
    annotation: Any
    default: Any
    unit: str | None
    secret: bool

    @property
    def key(self) -> str:
        """``section.name``."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section}__{self.name}".upper()

    @property
    def alternatives(self) -> tuple[Any, ...]:
        """The types a value may have, each without its bounds."""
        whole = (self.annotation,) if hasattr(self.annotation, "__metadata__") else get_args(self.annotation)
        if get_origin(self.annotation) in (tuple, dict, Literal) or not whole:
            whole = (self.annotation,)
        return tuple(part.__origin__ if hasattr(part, "__metadata__") else part for part in whole)

    @property
    def optional(self) -> bool:
        """Whether it can be switched off with ``none``."""
        return type(None) in self.alternatives

    @property
    def choices(self) -> tuple[str, ...]:
        """Its only possible values, for a setting that has few."""
        return get_args(self.annotation) if get_origin(self.annotation) is Literal else ()

    @property
    def is_list(self) -> bool:
        """Whether its value is a list."""
        return any(get_origin(part) is tuple for part in self.alternatives)

    @property
    def is_table(self) -> bool:
        """Whether its value is, or may be, a table."""
        return any(get_origin(part) is dict for part in self.alternatives)

    @property
    def entry(self) -> type[msgspec.Struct] | None:
        """What the entries are, where the value is a table of tables."""
        if get_origin(self.annotation) is not dict:
            return None
        inner = get_args(self.annotation)[1]
        return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def _collect() -> dict[str, Setting]:
    found = {}
    for section in msgspec.structs.fields(Settings):
        for field in msgspec.structs.fields(section.type):
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            facts = metadata(field.type)
            setting = Setting(
                section.name, field.name, field.type, default, facts.get("unit"), bool(facts.get("secret"))
            )
            found[setting.key] = setting
    return found


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(_collect())
SECTIONS: Final[tuple[str, ...]] = tuple(field.name for field in msgspec.structs.fields(Settings))


def nearest_setting(section: str, name: str) -> Setting | None:
    """The setting somebody most likely meant by this section and name; the section may be empty.

    A name out of another section counts (``connection.max_global``), and so does the
    section's name in front of the setting's (``broadcast_batch_size``).
    """
    section, name = section.lower(), name.lower()
    spellings: dict[str, Setting] = {}
    for setting in SETTINGS.values():
        spellings.setdefault(setting.name, setting)
        spellings[f"{setting.section}_{setting.name}"] = setting
    for setting in SETTINGS.values():
        spellings[setting.key] = setting
    full = f"{section}.{name}"
    for spelling in (full, name):
        if spelling in spellings:
            return spellings[spelling]
    own = [key for key in SETTINGS if key.startswith(f"{section}.")]
    close = nearest(full, own) or nearest(full, spellings) or nearest(name, spellings)
    return spellings[close] if close else None


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that differs from the word by a slip of the finger, if there is one."""
    # Comparing costs the product of the lengths: what is longer than any name is no slip.
    close = difflib.get_close_matches(word[:80], list(candidates), n=1, cutoff=0.75)
    return close[0] if close else None


def did_you_mean(guess: str | None) -> str:
    """The end of a fault's text for a guess, which may be none."""
    return f"; did you mean {guess}?" if guess else ""
