"""Why a connection did or did not get a message that was sent, told from what is kept of it."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from wsserver.clock import utc_text
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.observe.delivery_records import DeliveryRecord, EndedConnection
from wsserver.observe.event_history import Event
from wsserver.observe.filter_explanation import FilterExplanation
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import EVERYTHING
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchVerdict, reaches

Reason: TypeAlias = Literal[
    "acknowledged",
    "written",
    "replayed",
    "queued",
    "conflated",
    "slow",
    "expired",
    "closed",
    "shutdown",
    "uncertain",
    "refused_slow",
    "refused_closing",
    "refused_catching_up",
    "own_message",
    "other_connection",
    "connected_later",
    "ended_before",
    "denied",
    "not_subscribed",
    "subscription_expired",
    "filtered",
    "changed",
]

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

TEXTS: Final[dict[Reason, str]] = {
    "acknowledged": "The client said that it has handled it.",
    "written": "It was handed to the kernel of this machine, which delivers it or closes the connection.",
    "replayed": "It was handed to the kernel when the connection came back, from the history.",
    "queued": "It waits for the connection to take it.",
    "conflated": "The client read too slowly, and a newer message of the same kind took its place.",
    "slow": "It was dropped because the client read too slowly.",
    "expired": "It was dropped because it waited for too long.",
    "closed": "The connection ended, or lost the right to it, while it waited.",
    "shutdown": "The server went down while it waited.",
    "uncertain": "It was handed to the kernel or dropped; which of the two is not known any more.",
    "refused_slow": "The queue of the connection was full.",
    "refused_closing": "The connection was being closed when the message came.",
    "refused_catching_up": "The connection was catching up when the message came.",
    "own_message": "It was sent by this connection, which did not ask for an echo.",
    "other_connection": "It was sent to one other connection.",
    "connected_later": "The connection was opened after the message.",
    "ended_before": "The connection had ended before the message.",
    "denied": "This user may not see the patient.",
    "not_subscribed": "The connection is not subscribed to the topic of the message.",
    "subscription_expired": "The subscription had expired.",
    "filtered": "The filter of each subscription to the topic is false for the message.",
    "changed": "It was not for this connection, and what decided that has changed since.",
}

MAX_SUBSCRIPTIONS: Final = 20
"""Subscriptions of one connection that are explained: a filter with many patterns takes 4 ms."""

MAX_STEPS: Final = 1_000
"""Messages of one stream that took each other's place which are followed to the last."""

_REFUSALS: Final[dict[int, Reason]] = {1: "refused_slow", 4: "refused_catching_up"}
_ENDINGS: Final = ("unsubscribed", "expired", "revoked", "disconnected")


class Asker(Protocol):
    """Whoever is told."""

    def may_see(self, patient_id: str) -> bool:
        """Whether values out of this patient's messages may be shown."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """What became of one message at one connection."""

    connection_id: str
    open: bool
    reason: Reason
    certain: bool = True
    """Whether it is known, and not just what can be told from how things are now."""
    remarks: tuple[str, ...] = ()
    """More for people: what has changed since, and when."""
    members: dict[str, Any] = field(default_factory=dict)
    """More for programs: ``into``, ``waiting``."""
    subscriptions: tuple[MatchVerdict, ...] = ()
    connected_at: float = 0.0
    """Seconds since 1970 UTC."""
    ended_at: float | None = None
    """The same; None while it is open."""

    def text(self) -> str:
        """The verdict for people."""
        return " ".join([TEXTS[self.reason], *self.remarks])

    def as_dict(self) -> dict[str, Any]:
        """The verdict for JSON."""
        return {
            "connection_id": self.connection_id,
            "open": self.open,
            "connected_at": utc_text(self.connected_at),
            "ended_at": None if self.ended_at is None else utc_text(self.ended_at),
            "reason": self.reason,
            "certain": self.certain,
            "text": self.text(),
            **self.members,
            "subscriptions": [one.as_dict() for one in self.subscriptions],
        }


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
        verdict = self._of_open(record, metadata, asker)
        return replace(verdict, connected_at=self._wall(metadata.connected_at))

    def _told_ended(self, record: DeliveryRecord, ended: EndedConnection) -> DeliveryVerdict:
        verdict = self._of_ended(record, ended)
        return replace(
            verdict, connected_at=self._wall(ended.connected_at), ended_at=self._wall(ended.ended_at)
        )

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
        certain = history.reaches(record.events_before) and not since and not rights
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
        if before and before[-1].kind in _ENDINGS:
            remarks = (_remark(before[-1]), *remarks)
            if before[-1].kind == "expired":
                return DeliveryVerdict(connection_id, True, "subscription_expired", certain, remarks)
        return DeliveryVerdict(connection_id, True, "not_subscribed", certain, remarks)

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
