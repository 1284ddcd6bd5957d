"""The subscriptions that a client is to have, whatever becomes of its connections."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wsserver.client.errors import ClientError
from wsserver.client.topic import Topic


class Subscription(NamedTuple):
    """A subscription as the server has confirmed it; ``filters`` in their normal form."""

    subscription_id: str
    subscription_type: str
    target_id: str
    filters: Any
    replaced: bool = False
    hint: str | None = None
    break_glass: bool = False
    """The patient is seen for the reason that was stated: it ends with this connection, or before."""

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> "Subscription":
        """From ``subscription_confirmed`` or an entry of ``connected``."""
        return cls(
            str(frame.get("subscription_id", "")),
            str(frame.get("subscription_type", "")),
            str(frame.get("target_id", "")),
            frame.get("filters"),
            frame.get("replaced", False),
            frame.get("hint"),
            frame.get("break_glass") is True,
        )


@dataclass(slots=True, eq=False)
class Wanted:
    """One topic that the client wants, and how far the server knows."""

    topic: Topic
    filters: Mapping[str, Any]
    version: int = 0
    """Counts the changes of the filters: an answer to an older one settles nothing."""
    former: Mapping[str, Any] | None = None
    """The filters that the server has confirmed last: what holds if newer ones are refused."""
    confirmed: Subscription | None = None
    """What the server has for these filters; None while that is not certain."""
    waiters: list["asyncio.Future[Subscription]"] = field(default_factory=list)
    reason: str | None = None
    """For breaking the glass, until the server has confirmed it."""
    is_glass: bool = False
    """It ends with the connection, and is not asked for again."""

    @property
    def is_over_with_connection(self) -> bool:
        """Whether the server restores it to nobody, and nobody has just given another reason."""
        return self.is_glass and self.reason is None

    def command(self) -> dict[str, Any]:
        """The command that asks for it."""
        name, target = self.topic
        command: dict[str, Any] = {"type": "subscribe", "subscription_type": name, "target_id": target}
        if self.filters:
            command["filters"] = self.filters
        if self.reason is not None:
            command["break_glass"] = self.reason
        return command


class Restoration(NamedTuple):
    """What is left to do on a new connection."""

    missing: list[Wanted]
    unwanted: list[Subscription]


class Subscriptions:
    """By topic, so that asking twice is asking once."""

    def __init__(self) -> None:
        self._wanted: dict[Topic, Wanted] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, topic: Topic, filters: Mapping[str, Any], reason: str | None = None) -> Wanted:
        """Add a topic, or replace its filters. ``reason`` is one for breaking the glass."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            self._wanted[topic] = wanted = Wanted(topic, filters)
        else:
            wanted.filters = filters
            wanted.version += 1
            wanted.confirmed = None
        wanted.reason = reason
        return wanted

    def drop(self, topic: Topic) -> Wanted | None:
        """The topic is not wanted any more; returns what it was, if it was."""
        return self._wanted.pop(topic, None)

    def find(self, topic: Topic) -> Wanted | None:
        """What is wanted of a topic."""
        return self._wanted.get(topic)

    def named(self, subscription_id: str) -> Topic | None:
        """The topic of a subscription that the server has given this id."""
        for topic, wanted in self._wanted.items():
            if wanted.confirmed is not None and wanted.confirmed.subscription_id == subscription_id:
                return topic
        return None

    def topics_for_connect(self, max_bytes: int) -> list[str]:
        """Topics without filters and reasons, which ``connect`` can take along, as many as fit."""
        topics = []
        for wanted in self._wanted.values():
            if not wanted.filters and wanted.reason is None:
                max_bytes -= len(wanted.topic.text) + 3
                if max_bytes < 0:
                    break
                topics.append(wanted.topic.text)
        return topics

    def confirmed(self, wanted: Wanted, version: int, subscription: Subscription) -> None:
        """The server has it, with the filters of this version."""
        if wanted.version == version:
            wanted.confirmed = subscription
            wanted.former = wanted.filters
            wanted.reason, wanted.is_glass = None, subscription.break_glass
            _settle(wanted, subscription)

    def refused(self, wanted: Wanted, version: int, error: ClientError) -> bool:
        """The server does not want to. Returns whether nothing is left of it.

        Where only new filters were refused, the ones before still hold.
        """
        if wanted.version != version or self._wanted.get(wanted.topic) is not wanted:
            return False
        if wanted.former is not None:
            wanted.filters = wanted.former
            wanted.version += 1
            _settle(wanted, error)
            return False
        del self._wanted[wanted.topic]
        _settle(wanted, error)
        return True

    def end_glass(self) -> list[Wanted]:
        """The connection has ended, and with it what the glass was broken for; returns what that was."""
        ended = [one for one in self._wanted.values() if one.is_over_with_connection]
        for one in ended:
            del self._wanted[one.topic]
            _settle(one, ClientError("the right to it has ended"))
        return ended

    def lost(self, topic: Topic) -> Wanted | None:
        """The server has ended it: with the right to it, or by time."""
        wanted = self._wanted.get(topic)
        if wanted is not None:
            wanted.confirmed = None
            wanted.former = None
        return wanted

    def restored(self, held: Iterable[Subscription], asked: Iterable[str]) -> Restoration:
        """Compare with what a new connection has; ``asked`` are the topics that ``connect`` named."""
        has = {Topic(one.subscription_type, one.target_id): one for one in held}
        named = set(asked)
        missing = []
        for topic, wanted in self._wanted.items():
            one = has.pop(topic, None)
            if one is not None and _is_met(wanted, one, is_named=topic.text in named):
                self.confirmed(wanted, wanted.version, one)
            else:
                wanted.confirmed = None
                missing.append(wanted)
        return Restoration(missing, list(has.values()))

    def end(self, error: ClientError) -> None:
        """Nobody who waits for a confirmation will get it."""
        for wanted in self._wanted.values():
            _settle(wanted, error)

    def keep(self, topics: Iterable[Topic]) -> None:
        """Want only these any more, and what nobody has confirmed yet."""
        kept = set(topics)
        for topic, wanted in list(self._wanted.items()):
            if topic not in kept and wanted.former is not None:
                del self._wanted[topic]


def _is_met(wanted: Wanted, held: Subscription, *, is_named: bool) -> bool:
    """Whether the server has it with these filters, which only it can bring into their normal form."""
    if wanted.confirmed is not None:
        return bool(wanted.confirmed.filters == held.filters)
    return is_named and not wanted.filters and not held.filters


def _settle(wanted: Wanted, outcome: Subscription | ClientError) -> None:
    waiters, wanted.waiters = wanted.waiters, []
    for waiter in waiters:
        if waiter.done():
            continue
        if isinstance(outcome, Subscription):
            waiter.set_result(outcome)
        else:
            waiter.set_exception(outcome)
