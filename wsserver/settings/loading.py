"""Settings from a file, the environment and the command line, checked as a whole.

Later layers win: defaults, TOML file, ``WSSERVER_SECTION__NAME`` variables, command line.
Whatever is wrong in any of them, used or not, is told at once.
"""

import secrets
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from wsserver.settings.catalogue import (
    SECTIONS,
    SETTINGS,
    Setting,
    did_you_mean,
    nearest,
    nearest_setting,
)
from wsserver.settings.contradictions import find_contradictions, find_surprises
from wsserver.settings.conversion import ConversionError, convert, convert_text
from wsserver.settings.environment import read_variables
from wsserver.settings.keys import is_pem
from wsserver.settings.sections import Settings

Origin = Literal["default", "file", "environment", "command line", "generated"]

_MAX_FILE = 1024 * 1024


class SettingsError(Exception):
    """The settings cannot be used; `faults` holds every reason, each a line for a person."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Checked settings, where each value came from, and what may surprise."""

    settings: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()
    path: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict, repr=False)

    def reload(self, environ: Mapping[str, str]) -> "Loaded":
        """The settings read again from the same file, this environment and the same command line.

        A generated secret stays, so that tokens do. Raises SettingsError.
        """
        generated = self.settings.auth.secret if self.origins["auth.secret"] == "generated" else None
        return _load(self.path, environ, self.overrides, lambda: generated)


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    *,
    dev: bool = False,
) -> Loaded:
    """Read, merge and check all settings.

    `overrides` are the command line's, by ``section.name``; text in them is read like text
    in a variable. With `dev` a missing secret is replaced by a random one.

    Raises SettingsError with every fault at once, and never quotes a secret.
    """
    return _load(path, environ, overrides or {}, _new_secret if dev else lambda: None)


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    spare_secret: Callable[[], str | None],
) -> Loaded:
    layers = _Layers()
    if path is not None:
        layers.read_file(path)
    layers.read_environment(environ)
    layers.read_overrides(overrides)
    layers.fill_secret(spare_secret)
    settings = _build(layers.values)
    layers.faults += [
        f"{contradiction.keys[0]}: {contradiction.text}"
        for contradiction in find_contradictions(settings)
        if layers.broken.isdisjoint(contradiction.keys)
    ]
    layers.faults += [f"{key}: {text}" for key, text in _unreadable_files(settings)]
    if layers.faults:
        raise SettingsError(layers.faults)
    origins: dict[str, Origin] = {key: layers.origins.get(key, "default") for key in SETTINGS}
    warnings = (*layers.warnings, *find_surprises(settings))
    return Loaded(settings, origins, warnings, path, overrides)


@dataclass(slots=True)
class _Layers:
    """What the layers read so far say, each over the one before."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_file(self, path: Path) -> None:
        document = self._parse(path)
        for section, members in document.items():
            if not isinstance(members, dict):
                guess = nearest_setting("", section)
                what = "stands outside a section" if section not in SECTIONS else "must be a section"
                self._fault(path.name, section, f"{what}{did_you_mean(guess.key if guess else None)}")
            elif section not in SECTIONS:
                guess_name = nearest(section, SECTIONS)
                self._fault(path.name, f"[{section}]", f"is no section{did_you_mean(guess_name)}")
            else:
                self._read_section(path.name, section, members)
        held = [key for key in ("auth.secret", "operators.accounts") if self.values.get(key)]
        if held and path.stat().st_mode & stat.S_IROTH:
            what = " and ".join(held)
            self.warnings.append(f"{path.name} holds {what} and every user of this machine can read it.")

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for variable in read_variables(environ):
            if variable.setting is None or variable.fault:
                self.faults.append(f"{variable.name}: {variable.fault}")
                if variable.setting is not None:
                    self.broken.add(variable.setting.key)
            else:
                self._take(variable.setting, variable.text, "environment", variable.name)

    def read_overrides(self, overrides: Mapping[str, object]) -> None:
        for key, value in overrides.items():
            if key in SETTINGS:
                self._take(SETTINGS[key], value, "command line", f"{key} (command line)")
            else:
                section, _, name = key.rpartition(".")
                guess = nearest_setting(section, name)
                self._fault("command line", key, f"is no setting{did_you_mean(guess.key if guess else None)}")

    def fill_secret(self, spare: Callable[[], str | None]) -> None:
        algorithms = self.values.get("auth.algorithms", SETTINGS["auth.algorithms"].default)
        needed = self.values.get("auth.secret") is None and "HS256" in algorithms
        if needed and (secret := spare()) is not None:
            self.values["auth.secret"] = secret
            self.origins["auth.secret"] = "generated"

    def _parse(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE + 1)
            if len(content) > _MAX_FILE:
                self.faults.append(f"{path}: is over 1 MiB")
                return {}
            return tomllib.loads(content.decode())
        except OSError as fault:
            self.faults.append(f"{path}: cannot be read: {fault.strerror}")
        except UnicodeDecodeError:
            self.faults.append(f"{path}: is not UTF-8 text")
        except (tomllib.TOMLDecodeError, RecursionError) as fault:
            self.faults.append(f"{path}: is not TOML: {fault}")
        return {}

    def _read_section(self, file: str, section: str, members: dict[str, Any]) -> None:
        for name, value in members.items():
            key = f"{section}.{name}"
            if key in SETTINGS:
                self._take(SETTINGS[key], value, "file", f"{file}: {key}")
            else:
                guess = nearest_setting(section, name)
                self._fault(file, key, f"is no setting{did_you_mean(guess.key if guess else None)}")

    def _take(self, setting: Setting, value: object, origin: Origin, label: str) -> None:
        textual = origin != "file" and isinstance(value, str)
        try:
            self.values[setting.key] = (
                convert_text(setting, str(value)) if textual else convert(setting, value)
            )
            self.origins[setting.key] = origin
        except ConversionError as error:
            self.broken.add(setting.key)
            for where, what in error.faults:
                self.faults.append(f"{label}{'.' if where else ''}{where}: {what}")

    def _fault(self, source: str, name: str, text: str) -> None:
        self.faults.append(f"{source}: {name} {text}")


def _build(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    types = {info.name: info.type for info in msgspec.structs.fields(Settings)}
    return Settings(**{name: types[name](**members) for name, members in sections.items()})


def _unreadable_files(settings: Settings) -> list[tuple[str, str]]:
    auth, server = settings.auth, settings.server
    named = {
        "server.tls_certificate": server.tls_certificate,
        "server.tls_key": server.tls_key,
        "auth.jwks_file": auth.jwks_file,
        "auth.public_key": None if auth.public_key is None or is_pem(auth.public_key) else auth.public_key,
    }
    found = []
    for key, path in named.items():
        if path is not None:
            try:
                Path(path).open("rb").close()
            except OSError as fault:
                found.append((key, f"names a file that cannot be read: {fault.strerror}"))
            except ValueError:
                found.append((key, "is no path"))
    return found
