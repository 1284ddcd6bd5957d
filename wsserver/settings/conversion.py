"""From what a file, a variable or an option says to the typed value of a setting."""

from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from wsserver.settings.catalogue import Setting, did_you_mean, nearest
from wsserver.settings.operators import AccountSettings
from wsserver.settings.roles import RoleSettings
from wsserver.settings.units import parse_duration, parse_size

_WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`str`": "text",
    "`array`": "a list",
    "`object`": "a table",
    "`int | object | null`": 'a whole number, a table or "none"',
    "`str | null`": 'text or "none"',
    "`int | null`": 'a whole number or "none"',
    "`float | null`": 'a number or "none"',
}

# What the entries of a table of tables are made of.
_MEMBERS: Final[dict[type[msgspec.Struct], str]] = {RoleSettings: "right", AccountSettings: "member"}

_BOOLEANS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class ConversionError(ValueError):
    """What is wrong with a value, as (where inside the value, what) pairs. Never quotes a secret."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{where} {what}".strip() for where, what in faults))


def convert(setting: Setting, value: object) -> Any:
    """The typed value of a setting; text is read as far as the setting's type asks for it in a file.

    Raises ConversionError with everything that is wrong.
    """
    if setting.optional and isinstance(value, str) and value.lower() == "none":
        return None
    try:
        if setting.unit == "seconds":
            value = parse_duration(value)
        elif setting.unit == "bytes":
            value = parse_size(value)
    except ValueError as fault:
        raise ConversionError([("", f"must be {fault}")]) from None
    if setting.choices:
        return _choice(setting, value)
    entry = setting.entry
    if entry is not None:
        return _convert_table(setting, entry, value)
    return _checked(value, setting.annotation, setting.unit)


def convert_text(setting: Setting, text: str) -> Any:
    """The same for a value that can only be text: a variable or an option.

    Lists are separated by commas, lists and tables may also be JSON.
    """
    if setting.optional and text.lower() == "none":
        return None
    value: object = text
    if bool in setting.alternatives:
        value = _BOOLEANS.get(text.strip().lower(), text)
    elif setting.is_list:
        value = _json(text) if text.lstrip().startswith("[") else _comma_separated(text)
    elif setting.is_table and text.lstrip().startswith("{"):
        value = _json(text)
    elif setting.unit in (None, "percent") and (int in setting.alternatives or float in setting.alternatives):
        value = _number(text)
    return convert(setting, value)


def _choice(setting: Setting, value: object) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if word not in setting.choices:
        guess = did_you_mean(nearest(word, setting.choices))
        raise ConversionError([("", f"must be one of {', '.join(setting.choices)}{guess}")])
    return word


def _comma_separated(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise ConversionError([("", "begins like JSON but is none")]) from None


def _number(text: str) -> object:
    try:
        return msgspec.convert(text.strip(), int | float, strict=False)
    except msgspec.ValidationError:
        return text


def _checked(value: object, annotation: Any, unit: str | None = None) -> Any:
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError as fault:
        raise ConversionError([("", _plain(str(fault), unit))]) from None


def _plain(text: str, unit: str | None) -> str:
    text, _, path = text.partition(" - at ")
    expected, _, got = text.partition(", got ")
    for word, plain in _WORDS.items():
        expected = expected.replace(word, plain)
        got = got.replace(word, plain)
    expected = expected.removeprefix("Expected ").replace("of length >= 1", "that is not empty")
    out = f"must be {expected}"
    if unit and "=" in expected:
        out += f" {unit}"
    if got:
        out += f", not {got}"
    return out + (" (in one of its entries)" if path else "")


def _convert_table(setting: Setting, entry: type[msgspec.Struct], value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConversionError([("", f"must be a table of {setting.name}")])
    fields = {field.name: field for field in msgspec.structs.fields(entry)}
    what_it_has = _MEMBERS.get(entry, "member")
    faults: list[tuple[str, str]] = []
    entries: dict[str, Any] = {}
    for name, given in value.items():
        if not isinstance(given, dict):
            faults.append((name, f"must be a table of {what_it_has}s"))
            continue
        known: dict[str, Any] = {}
        wrong = False
        for member, wanted in given.items():
            where = f"{name}.{member}"
            if member not in fields:
                faults.append((where, f"is not a {what_it_has}{did_you_mean(nearest(member, fields))}"))
                continue
            annotation = fields[member].type
            try:
                known[member] = _checked(wanted, annotation)
            except ConversionError as fault:
                wrong = True
                faults += [(where, _with_choices(what, annotation)) for _, what in fault.faults]
        missing = [one for one in fields.values() if one.required and one.name not in given]
        faults += [(f"{name}.{one.name}", "is needed") for one in missing]
        if not (missing or wrong):
            entries[name] = entry(**known)
    if faults:
        raise ConversionError(faults)
    return entries


def _with_choices(what: str, annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return f"must be one of {', '.join(get_args(annotation))}"
    choices = [value for part in get_args(annotation) for value in get_args(part)]
    if get_origin(annotation) is tuple and choices:
        return f"must be a list of {', '.join(choices)}"
    return what
