"""How a server of another kind greets, confirms and marks what is published."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the load client has to know of such a server; see ``load_client.c``."""

    greeting: str
    """What the server's first message contains."""
    confirmation: str
    """What its answer to the subscription contains."""
    published: str
    """How a published message starts."""
    hello: str = ""
    """What the client says before the greeting, if the server waits for that."""
    in_lines: bool = False
    """Whether a frame may hold several messages, one a line."""

    def options(self) -> list[str]:
        """For the load client's command line."""
        said = ["--greeting", self.greeting, "--confirmation", self.confirmation]
        said += ["--published", self.published]
        if self.hello:
            said += ["--hello", self.hello]
        if self.in_lines:
            said.append("--lines")
        return said
