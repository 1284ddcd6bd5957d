"""Gets the subscriptions that are wanted from the server, on whatever connection there is."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wsserver.client.clock import Clock
from wsserver.client.errors import ClientError, ConnectionLost, InvalidOption, RequestRefused
from wsserver.client.link import Link
from wsserver.client.message import Gap
from wsserver.client.subscriptions import Subscription, Subscriptions, Wanted
from wsserver.client.topic import Topic

RATE_LIMIT: Final = 1010
PERMISSION_DENIED: Final = 1011


class Subscriber:
    """Asks, asks again on a new connection, and tells when a subscription is gone for good."""

    def __init__(
        self, clock: Clock, tell_gap: Callable[[Gap], object], tell_error: Callable[[ClientError], object]
    ) -> None:
        """Whoever only reads messages learns of a lost subscription by a gap: nothing comes any more."""
        self._clock = clock
        self._tell_gap = tell_gap
        self._tell_error = tell_error
        self.wanted = Subscriptions()

    async def subscribe(
        self, link: Link | None, topic: Topic, filters: Mapping[str, Any], reason: str | None = None
    ) -> Subscription:
        """Want a topic, and return when the server has confirmed it: on this connection or on a later one.

        ``reason`` is one for breaking the glass. Raises RequestRefused. Cancelled, it goes on being wanted.
        """
        wanted = self.wanted.want(topic, filters, reason)
        waiter: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()
        wanted.waiters.append(waiter)
        if link is not None:
            link.spawn(self._request(link, wanted))
        return await waiter

    async def unsubscribe(self, link: Link | None, topic: Topic) -> bool:
        """Want it no more; returns whether it was there."""
        wanted = self.wanted.drop(topic)
        if wanted is not None:
            for waiter in wanted.waiters:
                if not waiter.done():
                    waiter.set_exception(ClientError("unsubscribed before it was confirmed"))
        if link is None:
            # The server may have it all the same, with the session: then it is given back after that.
            return wanted is not None
        try:
            answer = await link.ask({"type": "unsubscribe", **topic._asdict()})
        except ConnectionLost:
            return wanted is not None
        return bool(answer.get("existed"))

    def take(self, link: Link | None, command: Mapping[str, Any]) -> None:
        """What a command ``subscribe`` or ``unsubscribe`` asks for; nobody waits for what becomes of it.

        Raises InvalidOption.
        """
        topic = self._named(command)
        if command["type"] == "unsubscribe":
            self.wanted.drop(topic)
            if link is not None:
                link.spawn(self._leave(link, topic))
            return
        filters = command.get("filters") or {}
        if not isinstance(filters, dict):
            raise InvalidOption("filters", "must be an object")
        reason = command.get("break_glass")
        wanted = self.wanted.want(topic, dict(filters), reason if isinstance(reason, str) else None)
        if link is not None:
            link.spawn(self._request(link, wanted))

    def _named(self, command: Mapping[str, Any]) -> Topic:
        if (subscription_id := command.get("subscription_id")) is not None:
            topic = self.wanted.named(subscription_id)
            if topic is None:
                raise InvalidOption("subscription_id", "is of no subscription")
            return topic
        if "topic" in command:
            return Topic.of(command["topic"])
        return Topic.of(command.get("subscription_type", ""), command.get("target_id"))

    async def _leave(self, link: Link, topic: Topic) -> None:
        try:
            await link.ask({"type": "unsubscribe", **topic._asdict()})
        except (ClientError, TimeoutError):
            # The next connection gives it back.
            return

    def restore(
        self,
        link: Link,
        held: Iterable[Subscription],
        asked: Iterable[str],
        errors: Iterable[Mapping[str, Any]],
        gaps: Iterable[Gap],
    ) -> None:
        """Get what a new connection lacks, and give back what is not wanted any more.

        ``held`` are its subscriptions, ``asked`` the topics that ``connect`` named, ``errors`` those that
        were refused. Where the ``gaps`` tell of such a topic it is not told again.
        """
        told = {gap.topic for gap in gaps if gap.reason in ("forbidden", "limit")}
        for error in errors:
            self._refused_at_entry(RequestRefused.of(error), error.get("topic"), told)
        missing, unwanted = self.wanted.restored(held, asked)
        for wanted in missing:
            link.spawn(self._request(link, wanted))
        for one in unwanted:
            link.spawn(self._give_back(link, one))

    def _refused_at_entry(self, error: RequestRefused, text: Any, told: set[str | None]) -> None:
        topic = _topic(text)
        wanted = None if topic is None else self.wanted.lost(topic)
        if wanted is None or error.code == RATE_LIMIT:
            # The latter is asked for again, at a slower pace.
            return
        self._gone(wanted, wanted.version, error, is_told=wanted.topic.text in told)

    def ended(self, link: Link, topic: Topic | None, error: RequestRefused | None) -> None:
        """The server has ended a subscription: with the right to it (the error says so), or by time."""
        wanted = None if topic is None else self.wanted.lost(topic)
        if wanted is None:
            return
        if error is not None:
            self._gone(wanted, wanted.version, error)
            return
        if wanted.is_over_with_connection:
            self.wanted.drop(wanted.topic)
            self._tell_gap(Gap("forbidden", topic=wanted.topic.text))
            return
        # What is published until it is confirmed again does not come.
        self._tell_gap(Gap("expired", topic=wanted.topic.text))
        link.spawn(self._request(link, wanted))

    def connection_ended(self) -> None:
        """Nothing comes any more of what the glass was broken for."""
        for wanted in self.wanted.end_glass():
            self._tell_gap(Gap("forbidden", topic=wanted.topic.text))

    async def _request(self, link: Link, wanted: Wanted) -> None:
        while self.wanted.find(wanted.topic) is wanted:
            version = wanted.version
            try:
                answer = await link.ask(wanted.command())
            except RequestRefused as error:
                if error.code == RATE_LIMIT and error.retry_after is not None:
                    await self._clock.sleep(error.retry_after)
                    continue
                self._gone(wanted, version, error)
            except ConnectionLost:
                # It is asked for again on the next one.
                pass
            except TimeoutError:
                # A server that answers nothing for so long is none.
                link.transport.abort()
            else:
                self.wanted.confirmed(wanted, version, Subscription.of(answer))
            return

    async def _give_back(self, link: Link, held: Subscription) -> None:
        if self.wanted.find(Topic(held.subscription_type, held.target_id)) is None:
            try:
                await link.ask({"type": "unsubscribe", "subscription_id": held.subscription_id})
            except (ClientError, TimeoutError):
                # The session knows it still: it is given back on the next connection.
                return

    def _gone(self, wanted: Wanted, version: int, error: RequestRefused, *, is_told: bool = False) -> None:
        somebody_waits = any(not waiter.done() for waiter in wanted.waiters)
        if self.wanted.refused(wanted, version, error) and not somebody_waits:
            self._tell_error(error)
            if not is_told:
                reason = "forbidden" if error.code == PERMISSION_DENIED else "limit"
                self._tell_gap(Gap(reason, topic=wanted.topic.text))


def _topic(text: Any) -> Topic | None:
    try:
        return Topic.of(text)
    except ClientError:
        return None
