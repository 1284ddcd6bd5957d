from typing import final

from wsserver_core.scopes import Scope

@final
class Shelf:
    """The groups of a topic that one scope shares, or of all subscribers where no scope is asked for."""

    @property
    def scope(self) -> Scope | None: ...
