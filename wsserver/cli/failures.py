"""How a command ends when it cannot do what it was asked for: a text and an exit status."""

import click


class Failure(click.ClickException):
    """It was tried and did not work: exit status 1."""

    exit_code = 1


class SettingsFault(click.ClickException):
    """The settings cannot be used: exit status 2."""

    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        head = "one fault in the settings" if len(faults) == 1 else f"{len(faults)} faults in the settings"
        super().__init__("\n".join([f"{head}:", *(f"  {fault}" for fault in faults)]))


class CannotStart(click.ClickException):
    """The settings are good and the machine does not allow them: exit status 3."""

    exit_code = 3
