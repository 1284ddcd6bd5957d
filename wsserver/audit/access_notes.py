"""What the access audit says of clients: one method for each thing that happens to their access."""

from collections.abc import Mapping
from typing import Any, Final

from wsserver.access.principal import Principal
from wsserver.audit.access_audit import AccessAudit
from wsserver.errors import PERMISSION_DENIED, ErrorKind
from wsserver.protocol.topic import Topic

MAX_LISTED: Final = 64
"""Patients that a record lists; of more it says how many."""


class AccessNotes:
    """Writes records about clients into an audit.

    A subscription to one patient is noted with that patient. Any other topic may show every patient whom
    the user may see, so it is noted with them: ``sees`` is ``all``, their ids or, of more than a few, their
    number.
    """

    def __init__(self, audit: AccessAudit) -> None:
        self._audit = audit

    def subscribed(
        self,
        connection_id: str,
        principal: Principal,
        topic: Topic,
        *,
        replaced: bool,
        restored: bool,
        reason: str | None = None,
    ) -> None:
        """A subscription was made; ``reason`` is the user's own, for breaking the glass."""
        details: dict[str, Any] = {}
        patient_id = topic.patient_id
        if patient_id is None:
            details["sees"] = _sees(principal)
        if replaced:
            details["replaced"] = True
        if reason is not None:
            details["reason"] = reason
        self._audit.note(
            "restore" if restored else "subscribe",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            topic=topic.text if patient_id is None else None,
            right=principal.granted_by if patient_id is None else principal.right_to(patient_id),
            details=details or None,
        )

    def subscription_refused(
        self, connection_id: str, principal: Principal, topic: Topic, lacking: str, kind: ErrorKind
    ) -> None:
        """Somebody asked for what the user may not follow, as this right is lacking."""
        self._refused("subscribe", principal, lacking, kind, connection_id=connection_id, topic=topic)

    def ended(self, connection_id: str, principal: Principal, topic: Topic, reason: str) -> None:
        """A subscription ended while its connection stayed."""
        patient_id = topic.patient_id
        self._audit.note(
            "end",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            topic=topic.text if patient_id is None else None,
            details={"reason": reason},
        )

    def connected(self, connection_id: str, principal: Principal, patient_id: str) -> None:
        """Somebody connected and named a patient."""
        self._audit.note(
            "connect",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            right=principal.right_to(patient_id),
        )

    def connection_refused(self, principal: Principal, patient_id: str) -> None:
        """Somebody named a patient whom the user may not see, and was not let in."""
        self._refused("connect", principal, "patients", PERMISSION_DENIED, topic=Topic.of_patient(patient_id))

    def disconnected(
        self, connection_id: str, principal: Principal, patient_id: str | None, subscriptions: int, code: int
    ) -> None:
        """A connection ended, and with it so many subscriptions."""
        self._audit.note(
            "disconnect",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            details={"subscriptions": subscriptions, "close_code": code},
        )

    def rights_changed(self, connection_id: str, principal: Principal) -> None:
        """A connection with subscriptions sees other patients from now on."""
        self._audit.note(
            "rights",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            right=principal.granted_by,
            details={"sees": _sees(principal)},
        )

    def replayed(
        self,
        connection_id: str,
        principal: Principal,
        messages: int,
        after: Mapping[str, int],
        upto: Mapping[str, int],
    ) -> None:
        """So many messages that were missed follow: of each log those beyond one ``seq``, up to another."""
        self._audit.note(
            "replay",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            details={"messages": messages, "after": dict(after), "upto": dict(upto)},
        )

    def publishing_refused(
        self, principal: Principal, patient_id: str, lacking: str, connection_id: str | None = None
    ) -> None:
        """Somebody wanted to publish about a patient and may not; without a connection it came over HTTP."""
        topic = Topic.of_patient(patient_id)
        self._refused("publish", principal, lacking, PERMISSION_DENIED, topic, connection_id)

    def withdrawn(self, user_id: str, patient_id: str) -> None:
        """The right to a patient was revoked from a user."""
        self._audit.note("withdraw", actor=user_id, patient_id=patient_id)

    def glass_mended(self, connection_id: str, principal: Principal, patient_id: str, reason: str) -> None:
        """A patient who was seen by breaking the glass is so no more."""
        self._audit.note(
            "break_glass_end",
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            details={"reason": reason},
        )

    def _refused(
        self,
        action: str,
        principal: Principal,
        lacking: str,
        kind: ErrorKind,
        topic: Topic,
        connection_id: str | None = None,
    ) -> None:
        patient_id = topic.patient_id
        self._audit.note(
            action,
            actor=principal.user_id,
            role=principal.role,
            connection_id=connection_id,
            patient_id=patient_id,
            topic=topic.text if patient_id is None else None,
            right=lacking,
            outcome="refused",
            code=kind.code,
        )


def _sees(principal: Principal) -> str | int | list[str]:
    patients = principal.patients
    if patients is None:
        return "all"
    return sorted(patients) if len(patients) <= MAX_LISTED else len(patients)
