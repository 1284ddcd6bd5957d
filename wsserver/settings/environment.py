"""Settings out of environment variables: ``WSSERVER_SECTION__NAME``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsserver.settings.catalogue import ENVIRONMENT_PREFIX, SETTINGS, Setting, did_you_mean, nearest_setting

NOT_SETTINGS = frozenset({"WSSERVER_CHECKED", "WSSERVER_CONFIG", "WSSERVER_TOKEN", "WSSERVER_URL"})
"""Variables of the build and of the command line, which are no settings."""

# A Kubernetes service or a linked container named "wsserver" puts these into every
# neighbour's environment, and nobody can take them out again.
_SERVICE_LINK = re.compile(
    r"WSSERVER_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)"
)

_MAX_SECRET_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting as the environment gives it: its text, or the fault that stands in its place."""

    name: str
    setting: Setting | None
    text: str = ""
    fault: str = ""


def read_variables(environ: Mapping[str, str]) -> Iterator[Variable]:
    """Every variable of ours in this environment, sorted by name; an empty one counts as unset.

    ``WSSERVER_SECTION__NAME_FILE`` names a file that holds a secret; one line end at its
    end does not belong to it.
    """
    ours = sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX) and environ[name])
    seen: set[str] = set()
    for name in ours:
        if name in NOT_SETTINGS or _is_service_link(name, environ[name]):
            continue
        setting = _setting_of(name)
        if setting is not None:
            variable = Variable(name, setting, environ[name])
        elif (setting := _secret_of(name)) is not None:
            variable = _from_file(name, setting, environ[name])
        else:
            yield Variable(name, None, fault=f"is no setting{_guess(name)}")
            continue
        if setting.key in seen:
            variable = Variable(name, setting, fault=f"says again what {setting.variable} says")
        seen.add(setting.key)
        yield variable


def _is_service_link(name: str, value: str) -> bool:
    if name == "WSSERVER_PORT":
        return value.startswith(("tcp://", "udp://"))
    return _SERVICE_LINK.fullmatch(name) is not None


def _setting_of(name: str) -> Setting | None:
    section, _, member = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
    setting = SETTINGS.get(f"{section}.{member}")
    return setting if setting is not None and setting.variable == name else None


def _secret_of(name: str) -> Setting | None:
    setting = _setting_of(name.removesuffix("_FILE")) if name.endswith("_FILE") else None
    return setting if setting is not None and setting.secret else None


def _from_file(name: str, setting: Setting, path: str) -> Variable:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_SECRET_FILE + 1)
        if len(content) > _MAX_SECRET_FILE:
            return Variable(name, setting, fault="names a file of more than 64 KiB")
        text = content.decode()
    except OSError as fault:
        return Variable(name, setting, fault=f"names a file that cannot be read: {fault.strerror}")
    except ValueError:
        return Variable(name, setting, fault="names a file that is not UTF-8 text")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        return Variable(name, setting, fault="names a file that is empty")
    return Variable(name, setting, text)


def _guess(name: str) -> str:
    section, separator, member = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
    if not separator:
        section, member = "", section
    setting = nearest_setting(section, member)
    return did_you_mean(setting.variable if setting else None)
