"""What the tables of settings.md must say, out of the code and its docstrings."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import msgspec

from wsserver.settings import roles as role_module
from wsserver.settings.catalogue import SECTIONS, SETTINGS, Setting
from wsserver.settings.roles import RoleSettings, default_roles
from wsserver.settings.sections import Settings
from wsserver.settings.units import format_duration, format_size

Row = tuple[str, str, str, str]


def section_rows(section: str) -> list[Row]:
    """One row for each setting of a section: name, unit, default, meaning."""
    owner = next(field.type for field in msgspec.structs.fields(Settings) if field.name == section)
    meanings = field_docstrings(inspect.getfile(owner))[owner.__name__]
    return [
        (setting.key, setting.unit or "", default_text(setting), meanings[setting.name])
        for setting in SETTINGS.values()
        if setting.section == section
    ]


def section_meaning(section: str) -> str:
    """The first line of the section's docstring."""
    owner = next(field.type for field in msgspec.structs.fields(Settings) if field.name == section)
    return one_line(owner.__doc__ or "")


def field_docstrings(source: str) -> dict[str, dict[str, str]]:
    """The text under each field, by class and field."""
    tree = ast.parse(Path(source).read_text())
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for statement, following in zip(node.body, node.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
                assert isinstance(statement.target, ast.Name)
                fields[statement.target.id] = one_line(ast.literal_eval(following.value))
    return found


def one_line(docstring: str) -> str:
    """The docstring as Markdown on one line."""
    return re.sub(r"\s+", " ", docstring.replace("``", "`")).strip()


def default_text(setting: Setting) -> str:
    """The default as a settings file spells it."""
    value: Any = setting.default
    if setting.key == "access.roles":
        return "the example policy below"
    if value is None:
        return "none"
    if setting.unit == "seconds":
        return format_duration(value)
    if setting.unit == "bytes":
        return format_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def section_lines(section: str) -> list[str]:
    """The table of one section as Markdown."""
    lines = [f"| `{section}` | unit | default | meaning |", "|---|---|---|---|"]
    for key, unit, default, meaning in section_rows(section):
        lines.append(_row(f"`{key}`", unit, default if " " in default else f"`{default}`", meaning))
    return lines


def right_lines() -> list[str]:
    """The rows of the table of a role's rights."""
    meanings = field_docstrings(role_module.__file__)["RoleSettings"]
    return [
        _row(f"`{field.name}`", "off" if field.default in (False, ()) else "on", meanings[field.name])
        for field in msgspec.structs.fields(RoleSettings)
    ]


def role_lines() -> list[str]:
    """The rows of the table of the example policy."""
    return [
        _row(f"`{name}`", "; ".join(_right(*given) for given in msgspec.to_builtins(rights).items()))
        for name, rights in default_roles().items()
    ]


def markdown() -> str:
    """The tables, to be pasted into settings.md when a setting changes."""
    return "\n\n".join(
        "\n".join([f"### {section}", "", section_meaning(section), "", *section_lines(section)])
        for section in SECTIONS
    )


def _right(name: str, value: Any) -> str:
    return name if value is True else f"{name}: {', '.join(f'`{one}`' for one in value)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(markdown(), *right_lines(), *role_lines(), sep="\n")
