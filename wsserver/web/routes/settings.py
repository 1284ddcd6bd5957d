"""The route about settings."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsserver.web.route import Answer, Door, Route

TAG: Final = "Operating"


class SettingInForce(msgspec.Struct):
    """One setting, as text that a settings file would have."""

    key: str
    value: Annotated[str, Meta(description="A secret is masked.")]
    default: Annotated[str | None, Meta(description="Null for an entry of a table without defaults.")]
    is_default: bool


class SettingsInForce(msgspec.Struct):
    """What the server goes by, and what it is made of."""

    settings: list[SettingInForce]
    versions: Annotated[dict[str, str], Meta(description="Of the server and of what it stands on.")]
    demo: Annotated[bool, Meta(description="Whether it shows the demonstration, which gives tokens out.")]


SETTINGS_IN_FORCE: Final = (
    Route(
        method="GET",
        path="/ws/settings",
        handler=lambda handlers: handlers.settings.in_force,
        door=Door.OPERATOR,
        scopes=("admin:read",),
        summary="The settings in force",
        description="Every setting with its default, secrets masked, and the versions of the server and of "
        "what it stands on.",
        tag=TAG,
        answers=(
            Answer(
                text="What is in force.",
                data=SettingsInForce,
                example={
                    "settings": [
                        {
                            "key": "connection.max_connections",
                            "value": "12000",
                            "default": "10000",
                            "is_default": False,
                        }
                    ],
                    "versions": {"wsserver": "0.1.0", "Python": "CPython 3.11.2"},
                    "demo": False,
                },
            ),
        ),
    ),
)
