"""The seven laws of delivery, each a function from evidence to the violations of it.

L1  Every acknowledged durable message is in the store, as it was sent, for as long as it is kept.
L2  Every acknowledged message reaches the handler of each client that it is due to exactly once, or
    lies in a range that the client was told of; and nobody is told of a loss that there was not.
L3  Each client gets each log in rising order; a place in a log holds one message for everybody.
L4  A message whose fate the publisher was not told appears once or not at all; a refused one never.
L5  Nobody gets what it may not see or did not ask for.
L6  The numbers add up to the unit.
L7  Nobody gets what was never sent.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from laws.evidence import Client, Evidence, Place, Publication
from laws.journal import Arrival, GapTold
from laws.model import asks_for, reaches

WITHOUT_RANGE: Final = {"restart", "ahead", "forbidden"}
"""Reasons of a gap that has no end, because whoever tells it cannot know one."""


@dataclass(frozen=True)
class Violation:
    """One breach of a law."""

    law: str
    text: str

    def __str__(self) -> str:
        return f"{self.law}: {self.text}"


@dataclass(frozen=True)
class Terms:
    """What a campaign may expect beyond the laws."""

    gaps: frozenset[str] = field(default_factory=frozenset)
    """Reasons for which a client may be told of a loss; any other is a false alarm.

    ``not_resumed`` stands for a session that was not restored.
    """
    lateness: float = 1.0
    """Seconds for which something may still arrive on an open connection after the right to it ended."""


def check(evidence: Evidence, terms: Terms = Terms()) -> list[Violation]:
    """Every violation of every law."""
    return [violation for law in LAWS for violation in law(evidence, terms)]


def law_1(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    if evidence.kept is None:
        return
    stored = {(one.log, one.seq): one for one in evidence.stored}
    if len(stored) != len(evidence.stored):
        yield Violation("L1", "the store holds two messages in one place")
    for publication in evidence.acked:
        place = publication.place
        assert place is not None
        if not publication.durable:
            continue
        if place.log not in evidence.kept:
            yield Violation("L1", f"{publication.key} was committed to {place.log}, which the store lacks")
            continue
        if place.seq < evidence.kept[place.log]:
            continue
        found = stored.get((place.log, place.seq))
        if found is None:
            yield Violation("L1", f"{publication.key} was acknowledged at {place} and is not in the store")
        elif (found.id, found.topic, found.key, found.crc) != (
            place.id,
            publication.topic,
            publication.key,
            publication.crc,
        ):
            yield Violation("L1", f"{publication.key} is not what the store holds at {place}: {found}")


def law_2(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    for client in evidence.clients.values():
        handled = _handled(client)
        for key, times in handled.items():
            if times > 1:
                yield Violation("L2", f"{client.name} handled {key} {times} times")
        told = _Told(client)
        for publication in _due_to(client, evidence):
            if publication.key not in handled and not told.covers(publication):
                yield Violation("L2", f"{client.name} lost {publication.key} at {publication.place} unawares")
        for gap in client.gaps:
            if gap.reason not in terms.gaps:
                yield Violation("L2", f"{client.name} was alarmed without need: {gap}")
        for opened in client.opened:
            if opened.given is not None and not opened.resumed and "not_resumed" not in terms.gaps:
                yield Violation("L2", f"{client.name} was not resumed on connection {opened.connection}")


def law_3(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    contents: dict[tuple[str, int], tuple[str, str, str, int]] = {}
    for publication in evidence.publications.values():
        for place in publication.places:
            content = (place.id, publication.topic, publication.key, publication.crc)
            if (other := contents.setdefault((place.log, place.seq), content)) != content:
                yield Violation("L3", f"{place} was given to {content} and to {other}")
    for client in evidence.clients.values():
        heads: dict[tuple[int, str], int] = {
            (one.connection, log): seq
            for one in client.opened
            if one.resumed
            for log, seq in (one.given or {}).items()
        }
        for arrival in client.arrivals:
            stream = (arrival.connection, arrival.log)
            if arrival.seq <= heads.get(stream, 0):
                yield Violation(
                    "L3", f"{client.name} got {arrival.log}:{arrival.seq} after {heads[stream]} on {stream}"
                )
            heads[stream] = max(arrival.seq, heads.get(stream, 0))
            content = (arrival.id, arrival.topic, arrival.key, arrival.crc)
            if (other := contents.setdefault((arrival.log, arrival.seq), content)) != content:
                yield Violation("L3", f"{client.name} got {content} at {stream}; others {other}")
    yield from _send_order(evidence)


def _send_order(evidence: Evidence) -> Iterator[Violation]:
    """What a publisher sent after an answer stands behind what was answered."""
    by_publisher = defaultdict(list)
    for publication in evidence.acked:
        by_publisher[publication.sends[0].publisher].append(publication)
    for publisher, publications in by_publisher.items():
        publications.sort(key=lambda one: one.sends[0].at)
        last: dict[str, tuple[float, Place]] = {}
        for publication in publications:
            place, acked_at = publication.place, publication.acked_at
            assert place is not None
            assert acked_at is not None
            before = last.get(place.log)
            if before is not None and before[0] <= publication.sends[0].at and place.seq <= before[1].seq:
                yield Violation("L3", f"{publisher} was given {place} after {before[1]}")
            last[place.log] = (acked_at, place)


def law_4(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    seen: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for publication in evidence.publications.values():
        seen[publication.key].update((place.log, place.seq) for place in publication.places)
    for client in evidence.clients.values():
        for arrival in client.arrivals:
            seen[arrival.key].add((arrival.log, arrival.seq))
    for stored in evidence.stored:
        seen[stored.key].add((stored.log, stored.seq))
    for key, places in seen.items():
        if len(places) > 1:
            yield Violation("L4", f"{key} appeared {len(places)} times: {sorted(places)}")
        if places and key in evidence.publications and evidence.publications[key].refused:
            yield Violation("L4", f"{key} was refused and appeared at {places}")


def law_5(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    for client in evidence.clients.values():
        since = {one.connection: one.dialed for one in client.opened}
        for arrival in client.arrivals:
            publication = evidence.publications.get(arrival.key)
            if publication is None:
                continue
            # What was on its way when a right ended may still come in; on a later connection nothing may.
            late = min(terms.lateness, arrival.at - since.get(arrival.connection, arrival.at))
            if not evidence.model.might_see(client.user, publication.patient, arrival.at, late=late):
                yield Violation("L5", f"{client.name} got {arrival.key} of {publication.patient}: forbidden")
            if not _asked_for(client, publication):
                yield Violation("L5", f"{client.name} got {arrival.key} on {arrival.topic}: not asked for")


def law_6(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    arrived: dict[str, int] = defaultdict(int)
    for client in evidence.clients.values():
        for arrival in client.arrivals:
            arrived[arrival.id] += 1
        yield from _gap_counts(client, evidence)
    for publication in evidence.publications.values():
        for answer in publication.answers:
            report = answer.report
            if answer.status != 200 or report is None or (report["duplicate"] and report["matched"] is None):
                # Who got a message is not remembered over a restart; where it stands is.
                continue
            refused = sum(report["refused"].values())
            if report["matched"] != report["delivered"] + refused:
                yield Violation("L6", f"matched is not delivered + refused: {report}")
            if report["considered"] < report["filtered"] + report["denied"]:
                yield Violation("L6", f"more was filtered and denied than considered: {report}")
            outcome = evidence.outcomes.get(report["message_id"])
            if outcome is None:
                continue
            lost = sum(outcome.dropped.values())
            if not report["duplicate"] and report["delivered"] != outcome.written + outcome.queued + lost:
                yield Violation("L6", f"delivered is not written + queued + dropped: {report} {outcome}")
            if outcome.queued:
                yield Violation("L6", f"something is queued still: {outcome}")
            if outcome.replayed is not None:
                sent = outcome.written + outcome.replayed
                if arrived[outcome.id] > sent:
                    yield Violation("L6", f"{arrived[outcome.id]} got what was sent {sent} times: {outcome}")


def _gap_counts(client: Client, evidence: Evidence) -> Iterator[Violation]:
    """A gap that has a number must have the right one: as many as are missing in it, no more, no fewer."""
    counted = [gap for gap in client.gaps if gap.count is not None]
    if not counted:
        return
    handled = _handled(client)
    certain = {one.key for one in _due_to(client, evidence)}
    for gap in counted:
        within = [one for one in evidence.acked if _Told.within(gap, one) and one.key not in handled]
        asked = [one for one in within if _asked_for(client, one)]
        least = sum(1 for one in within if one.key in certain)
        unsure = sum(1 for one in evidence.publications.values() if one.place is None and not one.refused)
        assert gap.count is not None
        if not least <= gap.count <= len(asked) + unsure:
            yield Violation("L6", f"{client.name} misses {least} to {len(asked) + unsure}, told {gap}")


def law_7(evidence: Evidence, terms: Terms) -> Iterator[Violation]:
    seen: Iterable[Arrival] = (one for client in evidence.clients.values() for one in client.arrivals)
    for arrival in seen:
        publication = evidence.publications.get(arrival.key)
        if publication is None:
            yield Violation("L7", f"{arrival.client} got {arrival.key!r}, which nobody sent")
        elif arrival.crc != publication.crc or arrival.topic != publication.topic:
            yield Violation("L7", f"{arrival.client} got {arrival.key} other than it was sent: {arrival}")


Law = Callable[[Evidence, Terms], Iterator[Violation]]
LAWS: Final[tuple[Law, ...]] = (law_1, law_2, law_3, law_4, law_5, law_6, law_7)


def _handled(client: Client) -> dict[str, int]:
    handled: dict[str, int] = defaultdict(int)
    for arrival in client.arrivals:
        handled[arrival.key] += arrival.handled
    return dict(handled)


def _due_to(client: Client, evidence: Evidence) -> Iterator[Publication]:
    """The acknowledged messages that this client must have had by the time that it came to rest."""
    rest = client.rest
    if rest is None:
        return
    for publication in evidence.acked:
        sent, acked = publication.sends[0].at, publication.acked_at
        assert acked is not None
        if acked > rest.asked:
            continue
        asked = any(
            _is_due(watch.position, publication, watch.at)
            and _matches(watch.topic, watch.filters, publication)
            for watch in client.watches
        )
        if not asked and not (publication.topic == "*" and client.opened and client.opened[0].at < sent):
            continue
        if evidence.model.always_saw(client.user, publication.patient, sent, rest.at):
            yield publication


def _is_due(position: dict[str, int], publication: Publication, at: float) -> bool:
    place = publication.place
    assert place is not None
    if place.log in position:
        return place.seq > position[place.log]
    # A log that has begun since: unless it has ended again, all of it.
    return publication.sends[0].at > at


def _matches(topic: str, filters: dict[str, object], publication: Publication) -> bool:
    return reaches(publication.topic, topic) and asks_for(filters, publication.sends[0].body)


def _asked_for(client: Client, publication: Publication) -> bool:
    return publication.topic == "*" or any(
        _matches(watch.topic, watch.filters, publication) for watch in client.watches
    )


class _Told:
    """What one client was told it misses."""

    def __init__(self, client: Client) -> None:
        self._gaps = [one for one in client.gaps if one.reason != "forbidden"]
        # That the log in memory has begun anew speaks for all such logs up to the one of now: of those
        # in between a client that was away has never heard, nor has the server of now.
        alive = {one.connection: one.cursor for one in client.opened}
        self._restarts = [
            (gap.at, alive.get(gap.connection, {})) for gap in self._gaps if gap.reason == "restart"
        ]
        # A session that was not restored says: from where you were until you have subscribed again,
        # anything may be missing.
        self._unrestored = [
            (one.given, next((watch.position for watch in client.watches if watch.at >= one.at), {}))
            for one in client.opened
            if one.given is not None and not one.resumed
        ]

    def covers(self, publication: Publication) -> bool:
        if any(self.within(gap, publication) for gap in self._gaps):
            return True
        place = publication.place
        assert place is not None
        if not publication.durable and any(
            publication.sends[0].at < at and place.log not in alive for at, alive in self._restarts
        ):
            return True
        return any(
            given.get(place.log, 0) < place.seq <= again.get(place.log, place.seq)
            for given, again in self._unrestored
        )

    @staticmethod
    def within(gap: GapTold, publication: Publication) -> bool:
        place = publication.place
        assert place is not None
        if gap.log != place.log or gap.topic not in (None, publication.topic):
            return False
        last = place.seq if gap.last is None and gap.reason in WITHOUT_RANGE else gap.last
        return last is not None and (gap.first or 0) <= place.seq <= last
