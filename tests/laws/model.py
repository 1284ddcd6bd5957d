"""Who should have which message: rights, topics and filters, as slowly and plainly as they can be told."""

from typing import Any

from laws.journal import Rights


class Model:
    """The rights of all users over time."""

    def __init__(self, rights: list[Rights]) -> None:
        self._rights: dict[str, list[Rights]] = {}
        for one in sorted(rights, key=lambda one: one.asked):
            self._rights.setdefault(one.user, []).append(one)

    def might_see(self, user: str, patient: str | None, at: float, *, late: float = 0.0) -> bool:
        """Whether a user may have been allowed to see a patient at some moment from ``late`` before ``at``.

        While a change is under way both the old rights and the new may hold.
        """
        changes = self._rights.get(user, [])
        for number, change in enumerate(changes):
            end = changes[number + 1].held if number + 1 < len(changes) else float("inf")
            if change.asked <= at and at - late <= end and allows(change, patient):
                return True
        return False

    def always_saw(self, user: str, patient: str | None, since: float, until: float) -> bool:
        """Whether a user was allowed to see a patient throughout, without a doubt."""
        changes = self._rights.get(user, [])
        if not changes or changes[0].held > since:
            return False
        for number, change in enumerate(changes):
            end = changes[number + 1].held if number + 1 < len(changes) else float("inf")
            if change.asked <= until and since <= end and not allows(change, patient):
                return False
        return True


def allows(rights: Rights, patient: str | None) -> bool:
    return patient is None or rights.patients is None or patient in rights.patients


def reaches(topic: str, subscription: str) -> bool:
    """Whether a message of a topic reaches a subscription, filters and rights aside."""
    if topic == "*" or subscription == "*":
        return True
    name, _, target = topic.partition(":")
    watched, _, watched_target = subscription.partition(":")
    if watched == "type":
        watched, watched_target = watched_target, "*"
    return name == watched and ("*" in (target, watched_target) or target == watched_target)


def asks_for(filters: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether a filter holds. Plain fields with equality, lists, and the operators of ordering only."""
    return all(_holds(wanted, body.get(name)) for name, wanted in filters.items())


def _holds(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, list):
        return found in wanted
    if not isinstance(wanted, dict):
        return bool(found == wanted)
    for operator, constant in wanted.items():
        if not isinstance(found, int | float):
            return False
        holds = {
            "$gte": found >= constant,
            "$gt": found > constant,
            "$lte": found <= constant,
            "$lt": found < constant,
        }
        if not holds[operator]:
            return False
    return True
