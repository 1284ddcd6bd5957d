"""The names under which the specification's examples expect this package."""

import importlib
import logging
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Final

_MODULES: Final = ("connection_manager", "subscription_manager", "health_monitor", "filter_engine")


def install_app_alias() -> None:
    """Make ``app.websocket.connection_manager`` and the logger ``app.websocket`` mean ours.

    Calling it again changes nothing. An ``app`` package of the caller's own keeps its place
    and gains ``app.websocket``. Raises ImportError if it has an ``app.websocket`` already.
    """
    try:
        package = importlib.import_module("app")
    except ModuleNotFoundError as missing:
        if missing.name != "app":
            raise
        package = sys.modules["app"] = ModuleType("app")
        package.__path__ = []
    alias = sys.modules.get("app.websocket")
    if getattr(alias, "__wsserver_alias__", False):
        return
    if alias is not None or PathFinder.find_spec("app.websocket", getattr(package, "__path__", ())):
        raise ImportError("app.websocket exists already and is not wsserver's")
    alias = ModuleType("app.websocket", "Alias of wsserver.")
    alias.__path__ = []
    alias.__dict__["__wsserver_alias__"] = True
    sys.modules["app.websocket"] = alias
    package.__dict__["websocket"] = alias
    for name in _MODULES:
        module = importlib.import_module(f"wsserver.{name}")
        sys.modules[f"app.websocket.{name}"] = module
        alias.__dict__[name] = module
    logging.root.manager.loggerDict["app.websocket"] = logging.getLogger("wsserver")
