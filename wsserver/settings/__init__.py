"""Settings: typed sections, loaded from file, environment and command line, checked as a whole."""

from wsserver.settings.contradictions import Contradiction, find_contradictions, find_surprises
from wsserver.settings.description import Described, describe, describe_as_environment, describe_as_toml
from wsserver.settings.flow import BackpressureSettings, BroadcastSettings, InboundSettings, RateLimitSettings
from wsserver.settings.loading import Loaded, Origin, SettingsError, load_settings
from wsserver.settings.operation import (
    AlertsSettings,
    AuditSettings,
    LoggingSettings,
    OverloadSettings,
    ShutdownSettings,
    StatusSettings,
)
from wsserver.settings.operators import AccountSettings, OperatorsSettings
from wsserver.settings.roles import RoleSettings, default_roles
from wsserver.settings.sections import (
    AccessSettings,
    AuthSettings,
    BinarySettings,
    ConnectionSettings,
    FilterSettings,
    HistorySettings,
    RecordsSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    StoreSettings,
    SubscriptionSettings,
)

__all__ = [
    "AccessSettings",
    "AccountSettings",
    "AlertsSettings",
    "AuditSettings",
    "AuthSettings",
    "BackpressureSettings",
    "BinarySettings",
    "BroadcastSettings",
    "ConnectionSettings",
    "Contradiction",
    "Described",
    "FilterSettings",
    "HistorySettings",
    "InboundSettings",
    "Loaded",
    "LoggingSettings",
    "OperatorsSettings",
    "Origin",
    "OverloadSettings",
    "RateLimitSettings",
    "RecordsSettings",
    "RoleSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "StatusSettings",
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
