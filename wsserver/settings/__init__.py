"""Settings: typed sections, loaded from file, environment and command line, checked as a whole."""

from wsserver.settings.contradictions import Contradiction, find_contradictions, find_surprises
from wsserver.settings.description import Described, describe, describe_as_environment, describe_as_toml
from wsserver.settings.loading import Loaded, Origin, SettingsError, load_settings
from wsserver.settings.roles import RoleSettings, default_roles
from wsserver.settings.sections import (
    AccessSettings,
    AlertsSettings,
    AuthSettings,
    BackpressureSettings,
    BroadcastSettings,
    ConnectionSettings,
    FilterSettings,
    InboundSettings,
    LoggingSettings,
    OverloadSettings,
    RateLimitSettings,
    RecordsSettings,
    ServerSettings,
    Settings,
    ShutdownSettings,
    StoreSettings,
    SubscriptionSettings,
)

__all__ = [
    "AccessSettings",
    "AlertsSettings",
    "AuthSettings",
    "BackpressureSettings",
    "BroadcastSettings",
    "ConnectionSettings",
    "Contradiction",
    "Described",
    "FilterSettings",
    "InboundSettings",
    "Loaded",
    "LoggingSettings",
    "Origin",
    "OverloadSettings",
    "RateLimitSettings",
    "RecordsSettings",
    "RoleSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "StoreSettings",
    "SubscriptionSettings",
    "default_roles",
    "describe",
    "describe_as_environment",
    "describe_as_toml",
    "find_contradictions",
    "find_surprises",
    "load_settings",
]
