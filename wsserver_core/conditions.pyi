from typing import Any, final

from wsserver_core.fields import Field

@final
class Condition:
    """``field operator operand``."""

    @property
    def field(self) -> Field: ...
    @property
    def operand(self) -> Any: ...
    @property
    def text(self) -> str: ...

@final
class Vocabulary:
    """The fields and conditions of filters in use, each once however many filters have it."""
