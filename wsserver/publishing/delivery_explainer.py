"""Why a connection did or did not get a message that was sent, told from what is kept of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Protocol

from wsserver.clock import utc_text
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.observe.delivery_records import DeliveryRecord, EndedConnection
from wsserver.observe.event_history import Event
from wsserver.observe.filter_explanation import FilterExplanation
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import EVERYTHING
from wsserver.publishing.delivery_verdict import DeliveryVerdict, Reason
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchVerdict, reaches

MAX_SUBSCRIPTIONS: Final = 20
"""Subscriptions of one connection that are explained: a filter with many patterns takes 4 ms."""

MAX_STEPS: Final = 1_000
"""Messages of one stream that took each other's place which are followed to the last."""

_REFUSALS: Final[dict[int, Reason]] = {1: "refused_slow", 4: "refused_catching_up"}
_ENDINGS: Final = ("unsubscribed", "expired", "revoked", "disconnected")
_RECEIVED: Final = ("acknowledged", "written", "replayed", "queued")

OTHER_TOPICS: Final = 3
"""Topics that are named where somebody was subscribed to others only."""


class Asker(Protocol):
    """Whoever is told."""

    def may_see(self, patient_id: str) -> bool:
        """Whether values out of this patient's messages may be shown."""
        ...


class DeliveryExplainer:
    """Asks the queues, the journal of losses, and today's subscriptions what became of a message.

    Whoever it was for is on record, so what is told of them is a fact. Of all others it is known that
    it was not for them; the reason is found by holding the message against their subscriptions as
    they are now, and a verdict says whether these have changed.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._explainer = MatchExplainer(manager)

    def explain(self, record: DeliveryRecord, connection_id: str, asker: Asker) -> DeliveryVerdict | None:
        """The verdict for one connection, None for one that is neither open nor known to have ended.

        Values out of the message are shown only to an ``asker`` who may see its patient.
        """
        metadata = self._manager.connections.get(connection_id)
        if metadata is not None:
            return self._told_open(record, metadata, asker)
        ended = self._manager.records.ended(connection_id)
        return None if ended is None else self._told_ended(record, ended)

    def explain_user(
        self, record: DeliveryRecord, user_id: str, asker: Asker, limit: int
    ) -> list[DeliveryVerdict]:
        """The verdicts for the connections of a user: open ones, then those that ended last."""
        open_ones = [one for one in self._manager.connections.values() if one.user_id == user_id][:limit]
        verdicts = [self._told_open(record, one, asker) for one in open_ones]
        ended = reversed(self._manager.records.ended_of(user_id))
        return [*verdicts, *(self._told_ended(record, one) for one in ended)][:limit]

    def _told_open(
        self, record: DeliveryRecord, metadata: ConnectionMetadata, asker: Asker
    ) -> DeliveryVerdict:
        verdict = self._with_gap(record, metadata.handle, self._of_open(record, metadata, asker))
        return replace(verdict, connected_at=self._wall(metadata.connected_at))

    def _told_ended(self, record: DeliveryRecord, ended: EndedConnection) -> DeliveryVerdict:
        verdict = self._with_gap(record, ended.handle, self._of_ended(record, ended))
        return replace(
            verdict, connected_at=self._wall(ended.connected_at), ended_at=self._wall(ended.ended_at)
        )

    def _with_gap(self, record: DeliveryRecord, handle: int, verdict: DeliveryVerdict) -> DeliveryVerdict:
        """The verdict with what its client has been told, if it lacks the message and was told so."""
        if verdict.reason in _RECEIVED:
            return verdict
        told = self._manager.records.gaps.find(handle, record.report)
        if told is None:
            return verdict
        remark = f"Its client was told of the gap at {utc_text(told.at)}."
        members = {**verdict.members, "gap": told.as_dict()}
        return replace(verdict, remarks=(*verdict.remarks, remark), members=members)

    def _wall(self, moment: float) -> float:
        """What the clock on the wall showed at a monotonic moment, unless it was set since."""
        clock = self._manager.clock
        return clock.time() - (clock.monotonic() - moment)

    # -- those it was for

    def _of_addressee(
        self, record: DeliveryRecord, connection_id: str, handle: int, *, is_open: bool
    ) -> DeliveryVerdict | None:
        report, hub = record.report, self._manager.hub
        outcome = record.addressees.outcome(handle)
        replayed = hub.replays.has(handle, report.log, report.seq)
        if outcome is None and not replayed:
            return None
        if record.has_acknowledged(handle):
            return DeliveryVerdict(connection_id, is_open, "acknowledged")
        place = hub.find(handle, report.log, report.seq)
        if place is not None:
            ahead, leaving = place
            remark = "It has begun to leave." if leaving else f"{ahead} frames wait before it."
            waiting = {"waiting": {"ahead": ahead, "leaving": leaving}}
            return DeliveryVerdict(connection_id, is_open, "queued", remarks=(remark,), members=waiting)
        losses = hub.drops.losses(handle, report.log)
        loss = losses.get(report.seq)
        if loss is not None:
            reason: Any = loss[0]
            remarks, members = self._replacement(report.log, losses, loss[1]) if loss[1] else ((), {})
            return DeliveryVerdict(connection_id, is_open, reason, remarks=remarks, members=members)
        if outcome and not replayed:
            return self._refused(record, connection_id, handle, outcome, is_open=is_open)
        whole = hub.drops.reaches(record.losses_before)
        if whole or (not replayed and not any(report.outcome()["dropped"].values())):
            return DeliveryVerdict(connection_id, is_open, "replayed" if replayed else "written")
        return DeliveryVerdict(connection_id, is_open, "uncertain", certain=False)

    def _refused(
        self, record: DeliveryRecord, connection_id: str, handle: int, outcome: int, *, is_open: bool
    ) -> DeliveryVerdict:
        reason = _REFUSALS.get(outcome, "refused_closing")
        if reason != "refused_catching_up":
            return DeliveryVerdict(connection_id, is_open, reason)
        hub = self._manager.hub
        if hub.is_catching_up(handle):
            return DeliveryVerdict(connection_id, is_open, reason, remarks=("It is catching up still.",))
        certain = hub.replays.reaches(record.replays_before)
        remarks = ("It has caught up without it.",) if certain else ("Whether it had it then is not known.",)
        return DeliveryVerdict(connection_id, is_open, reason, certain, remarks)

    def _replacement(
        self, log: str, losses: dict[int, tuple[str, int]], into: int
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Which message took the place of one, and which the place of that, to the last."""
        first = last = into
        for _ in range(MAX_STEPS):
            reason, following = losses.get(last, ("", 0))
            if reason != "conflated" or not following:
                break
            last = following
        newer = self._manager.records.at(log, first)
        newest = newer if last == first else self._manager.records.at(log, last)
        what_came = losses.get(last, (None, 0))[0]
        members = {
            "into": {
                "seq": first,
                "message_id": None if newer is None else newer.report.message_id,
                "last_seq": last,
                "last_message_id": None if newest is None else newest.report.message_id,
            }
        }
        end = "" if what_came is None else f" That one was dropped, too ({what_came})."
        return (f"The newest that took its place is number {last} of the log.{end}",), members

    # -- all others

    def _of_ended(self, record: DeliveryRecord, ended: EndedConnection) -> DeliveryVerdict:
        connection_id = ended.connection_id
        verdict = self._of_addressee(record, connection_id, ended.handle, is_open=False)
        if verdict is not None:
            return verdict
        plain = _plain_reason(record, ended.handle, ended.connected_at)
        if plain is None and ended.ended_at <= record.at:
            plain = "ended_before"
        if plain is not None:
            return self._plain(record, connection_id, ended.handle, plain, is_open=False)
        remark = "Its subscriptions ended with it."
        return DeliveryVerdict(connection_id, False, "changed", certain=False, remarks=(remark,))

    def _of_open(self, record: DeliveryRecord, metadata: ConnectionMetadata, asker: Asker) -> DeliveryVerdict:
        connection_id, handle = metadata.connection_id, metadata.handle
        verdict = self._of_addressee(record, connection_id, handle, is_open=True)
        if verdict is not None:
            return verdict
        plain = _plain_reason(record, handle, metadata.connected_at)
        if plain is not None:
            return self._plain(record, connection_id, handle, plain, is_open=True)
        return self._of_unmatched(record, metadata, asker)

    def _plain(
        self, record: DeliveryRecord, connection_id: str, handle: int, reason: Reason, *, is_open: bool
    ) -> DeliveryVerdict:
        hub = self._manager.hub
        if reason != "connected_later":
            return DeliveryVerdict(connection_id, is_open, reason)
        if hub.is_catching_up(handle):
            return DeliveryVerdict(connection_id, is_open, reason, False, ("It is catching up still.",))
        return DeliveryVerdict(connection_id, is_open, reason, hub.replays.reaches(record.replays_before))

    def _of_unmatched(
        self, record: DeliveryRecord, metadata: ConnectionMetadata, asker: Asker
    ) -> DeliveryVerdict:
        connection_id, history = metadata.connection_id, self._manager.subscription_manager.history
        patient_id, rights = record.patient_id, self._rights(record, metadata)
        if patient_id is not None and not metadata.principal.may_see(patient_id):
            return DeliveryVerdict(connection_id, True, "denied", not rights, rights)
        if record.topic == EVERYTHING:
            return DeliveryVerdict(connection_id, True, "changed", not rights, rights)
        addressed = self._explainer.explain_published(
            connection_id, self._message(record), record.topic, MAX_SUBSCRIPTIONS
        )
        concerning = [
            (number, event) for number, event in history.of(connection_id) if _concerns(event, record)
        ]
        since = [event for number, event in concerning if number >= record.events_before]
        reaches_back = history.reaches(record.events_before) and not rights
        if reaches_back and not _was_subscribed(addressed, since):
            return self._unsubscribed(metadata, concerning, record.events_before)
        certain = reaches_back and not since
        remarks = (*rights, *(_remark(event) for event in since[-3:]))
        withheld = patient_id is not None and not asker.may_see(patient_id)
        shown = tuple(_without_values(one) if withheld else one for one in addressed)
        members = {"values_withheld": withheld}
        if any(one.outcome == "matches" for one in addressed):
            return DeliveryVerdict(connection_id, True, "changed", certain, remarks, members, shown)
        if addressed:
            places = (_places(addressed),)
            return DeliveryVerdict(connection_id, True, "filtered", certain, places + remarks, members, shown)
        before = [event for number, event in concerning if number < record.events_before]
        if since and before and before[-1].kind not in _ENDINGS:
            # It was subscribed then, and what its filter was is not known any more.
            return DeliveryVerdict(connection_id, True, "changed", False, remarks)
        return self._unsubscribed(metadata, concerning, record.events_before, certain=certain, rights=rights)

    def _unsubscribed(
        self,
        metadata: ConnectionMetadata,
        concerning: list[tuple[int, Event]],
        events_before: int,
        *,
        certain: bool = True,
        rights: tuple[str, ...] = (),
    ) -> DeliveryVerdict:
        """It had no subscription to the topic: since when, or until when, or to what instead."""
        before = [event for number, event in concerning if number < events_before]
        since = [event for number, event in concerning if number >= events_before]
        had_ended = bool(before) and before[-1].kind in _ENDINGS
        reason: Reason = "not_subscribed"
        members: dict[str, Any] = {}
        remarks = (*((_remark(before[-1]),) if had_ended else ()), *map(_remark, since[-3:]))
        if since and certain:
            reason = "subscribed_later"
        elif had_ended:
            reason = "subscription_expired" if before[-1].kind == "expired" else "subscription_ended"
        else:
            manager = self._manager.subscription_manager
            others = [
                f"{one.subscription_type}:{one.target_id}"
                for one in manager.get_connection_subscriptions(metadata.connection_id)
            ]
            if others:
                reason, members = "other_topic", {"topics": others[:OTHER_TOPICS]}
                more = f" and {len(others) - OTHER_TOPICS} more" if len(others) > OTHER_TOPICS else ""
                remarks = (f"These are {', '.join(others[:OTHER_TOPICS])}{more}.", *remarks)
        remarks = (*rights, *remarks)
        return DeliveryVerdict(metadata.connection_id, True, reason, certain, remarks, members)

    def _rights(self, record: DeliveryRecord, metadata: ConnectionMetadata) -> tuple[str, ...]:
        """That the rights of a connection have changed since, if so."""
        changed_at = metadata.rights_changed_at
        if changed_at is None or changed_at <= record.at:
            return ()
        return (f"Its rights have changed at {utc_text(self._wall(changed_at))}.",)

    def _message(self, record: DeliveryRecord) -> PublishedMessage:
        """The message anew, from what was sent. What filters saw besides is that of its time."""
        body = record.body()
        # It was accepted, be it under other settings than today's.
        message = PublishedMessage(
            body, topic=record.topic, max_size=len(record.frame.wire), may_announce_shutdown=True
        )
        message.derived = record.derived
        return message


def _plain_reason(record: DeliveryRecord, handle: int, connected_at: float) -> Reason | None:
    """Why a message was not for a connection, where that has nothing to do with its subscriptions."""
    if connected_at > record.at:
        return "connected_later"
    if record.target is not None:
        return "denied" if handle == record.target else "other_connection"
    return "own_message" if handle == record.excluded else None


def _was_subscribed(addressed: list[MatchVerdict], since: Iterable[Event]) -> bool:
    """Whether it may have been subscribed to the topic then, by what it has and what has happened since."""
    first: dict[tuple[str | None, str | None], str] = {}
    for event in since:
        first.setdefault((event.subscription_type, event.target_id), event.kind)
    now = {(one.subscription.subscription_type, one.subscription.target_id) for one in addressed}
    # Of very many subscriptions not all have been looked at.
    return (
        len(addressed) >= MAX_SUBSCRIPTIONS
        or any(kind != "subscribed" for kind in first.values())
        or not now <= first.keys()
    )


def _concerns(event: Event, record: DeliveryRecord) -> bool:
    if event.kind in ("hint", "expiring") or event.subscription_type is None or event.target_id is None:
        return False
    return reaches(record.topic, event.subscription_type, event.target_id)


def _remark(event: Event) -> str:
    topic = (
        event.subscription_type if event.target_id is None else f"{event.subscription_type}:{event.target_id}"
    )
    return f"Its subscription to {topic} was {_PARTICIPLES[event.kind]} at {utc_text(event.at)}."


_PARTICIPLES: Final = {
    "subscribed": "made",
    "replaced": "given another filter",
    "unsubscribed": "ended by the client",
    "expired": "ended for its age",
    "revoked": "taken away with the right to it",
    "disconnected": "ended with the connection",
}


def _places(verdicts: list[MatchVerdict]) -> str:
    """Where each filter is false. Clauses say what was wanted, and whoever may know it what was found."""
    places = [
        ", ".join(clause.place for clause in one.explanation.failed)
        for one in verdicts
        if one.explanation is not None
    ]
    return f"False: {'; '.join(places)}." if places else ""


def _without_values(verdict: MatchVerdict) -> MatchVerdict:
    """A verdict for somebody who may not see the patient: where a filter is false, not what was found."""
    whole = verdict.explanation
    return verdict if whole is None else replace(verdict, explanation=_Withheld.of(whole))


class _Withheld(FilterExplanation):
    """An explanation without anything that was found in the message."""

    @classmethod
    def of(cls, whole: FilterExplanation) -> "_Withheld":
        clauses = tuple(replace(one, found=(), more=False, suggestion=None) for one in whole.clauses)
        return cls(whole.matches, clauses, whole.failed)

    def text(self) -> str:
        return "\n".join(f"{'✓' if one.fits else '✗'} {one.place}" for one in self.clauses)
