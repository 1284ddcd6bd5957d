"""Settings as text for people and for files, without their secrets."""

import json
import re
import shlex
from typing import Any, NamedTuple

import msgspec

from wsserver.settings.catalogue import SECTIONS, SETTINGS, Setting
from wsserver.settings.fields import SECRET_MASK, metadata
from wsserver.settings.loading import Loaded, Origin
from wsserver.settings.sections import Settings
from wsserver.settings.units import format_duration, format_size

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Described(NamedTuple):
    """One setting: its name, its value as text (a secret masked) and where the value came from."""

    key: str
    value: str
    origin: str


def describe(loaded: Loaded) -> list[Described]:
    """Every setting, in the order of the sections; a table of tables has a row for each entry."""
    rows = []
    for key, setting in SETTINGS.items():
        value, origin = _spelled(loaded.settings, setting), loaded.origins[key]
        if _is_nested(value):
            rows += [Described(f"{key}.{name}", _toml(entry), origin) for name, entry in value.items()]
        else:
            rows.append(Described(key, value if isinstance(value, str) else _toml(value), origin))
    return rows


class InForce(NamedTuple):
    """One setting as it is in force: its value and its default as text, secrets masked."""

    key: str
    value: str
    default: str | None
    """None for an entry of a table that the defaults do not have."""

    @property
    def is_default(self) -> bool:
        """Whether nobody has changed it."""
        return self.value == self.default


def describe_in_force(settings: Settings) -> list[InForce]:
    """Every setting with its default, in the order of the sections."""
    origins: dict[str, Origin] = dict.fromkeys(SETTINGS, "default")
    defaults = {row.key: row.value for row in describe(Loaded(Settings(), origins))}
    rows = describe(Loaded(settings, origins))
    return [InForce(row.key, row.value, defaults.get(row.key)) for row in rows]


def describe_as_toml(loaded: Loaded) -> str:
    """A settings file that loads to the same settings; secrets are left out as comments."""
    blocks = []
    for section in SECTIONS:
        lines, nested = [f"[{section}]"], []
        for setting in (one for one in SETTINGS.values() if one.section == section):
            value = _spelled(loaded.settings, setting)
            if _is_nested(value):
                for name, entry in value.items():
                    members = [
                        f"{'# ' if part == SECRET_MASK else ''}{_toml_key(member)} = {_toml(part)}"
                        for member, part in entry.items()
                    ]
                    nested.append("\n".join([f"[{setting.key}.{_toml_key(name)}]", *members]))
            else:
                hidden = "# " if value == SECRET_MASK and setting.secret else ""
                lines.append(f"{hidden}{setting.name} = {_toml(value)}")
        blocks += ["\n".join(lines), *nested] if len(lines) > 1 else nested
    return "\n\n".join(blocks) + "\n"


def describe_as_environment(loaded: Loaded) -> str:
    """Shell assignments that load to the same settings; secrets are left out as comments."""
    lines = []
    for setting in SETTINGS.values():
        value = _spelled(loaded.settings, setting)
        hidden = "# " if (setting.secret and value == SECRET_MASK) or _holds_secret(value) else ""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{hidden}{setting.variable}={shlex.quote(text)}")
    return "\n".join(lines) + "\n"


def _spelled(settings: Settings, setting: Setting) -> Any:
    """The value in types that TOML and JSON share, with its unit where it has one."""
    value = getattr(getattr(settings, setting.section), setting.name)
    if value is None:
        return "none"
    if setting.secret:
        return SECRET_MASK
    if setting.unit == "seconds":
        return format_duration(value)
    if setting.unit == "bytes":
        return format_size(value)
    if setting.entry is not None:
        return {name: _masked(entry) for name, entry in value.items()}
    return msgspec.to_builtins(value)


def _masked(entry: msgspec.Struct) -> dict[str, Any]:
    """The members of a table's entry that are not at their defaults, secrets masked."""
    secret = {
        field.name for field in msgspec.structs.fields(type(entry)) if metadata(field.type).get("secret")
    }
    members: dict[str, Any] = msgspec.to_builtins(entry)
    return {name: SECRET_MASK if name in secret else value for name, value in members.items()}


def _holds_secret(value: Any) -> bool:
    return _is_nested(value) and any(SECRET_MASK in entry.values() for entry in value.values())


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        members = [f"{_toml_key(name)} = {_toml(member)}" for name, member in value.items()]
        return f"{{ {', '.join(members)} }}" if members else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml(name)
