"""Breaking the glass: a patient whom the user may not see, for a stated reason and for a time.

The connection's principal is replaced by one whose patients include this one, so that everything that goes
by them (live messages, replay, what waits in queues, explanations) knows; nothing else has an exception
in it. It ends with the subscription, with its time, with the role's right, with a revocation, and with
the connection: what comes back asks anew.
"""

from typing import Final

from wsserver.access.authenticator import Authenticator
from wsserver.access.principal import Principal
from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import PERMISSION_DENIED, ServerError
from wsserver.observe.alerts import AlertBook, Level
from wsserver.protocol.commands import CommandError
from wsserver.protocol.control import Error
from wsserver.protocol.topic import Topic
from wsserver.subscriptions.subscription import Subscription

MIN_REASON: Final = 8
"""Characters that a reason has at least, blanks at its ends left out."""


class BreakGlass:
    """The connections of one server that watch somebody by breaking the glass."""

    def __init__(self, manager: ConnectionManager, authenticator: Authenticator, alerts: AlertBook) -> None:
        self._manager = manager
        self._authenticator = authenticator
        self._alerts = alerts
        self._until: dict[ConnectionMetadata, dict[str, float]] = {}
        """By connection and patient, the monotonic second at which it is over."""
        self.broken = 0
        """How often it was done since the start."""

    def __len__(self) -> int:
        """Connections that see somebody so, now."""
        return len(self._until)

    def of(self, metadata: ConnectionMetadata) -> dict[str, float]:
        """The patients whom a connection sees so, each with the seconds that are left."""
        now = self._manager.clock.monotonic()
        return {patient: max(0.0, until - now) for patient, until in self._until.get(metadata, {}).items()}

    def subscribe(
        self, metadata: ConnectionMetadata, topic: Topic, filters: object, reason: str
    ) -> tuple[Subscription, bool]:
        """Subscribe to a patient whom the user may not see, as ``SubscriptionManager.subscribe`` does.

        Where the user may see the patient anyway no glass is broken. Raises what subscribing raises, 1003 for
        a reason or a topic that is none, and 1011, worded like any other, without the right to it.
        """
        patient_id = topic.patient_id
        self._check_right(metadata, topic)
        if patient_id is None:
            raise CommandError("break_glass", "goes with one patient only")
        if not reason.isprintable() or len(reason.strip()) < MIN_REASON:
            raise CommandError(
                "break_glass", f"must be a reason of {MIN_REASON} printable characters or more on one line"
            )
        subscriptions, before = self._manager.subscription_manager, metadata.principal
        if before.may_see(patient_id) and patient_id not in before.beyond:
            return subscriptions.subscribe(metadata, topic, filters)
        if patient_id not in before.beyond:
            self._manager.replace_principal(
                metadata, self._authenticator.widened(before, before.beyond | {patient_id})
            )
        try:
            made = subscriptions.subscribe(metadata, topic, filters, reason=reason)
        except ServerError:
            if metadata.principal is not before:
                self._manager.replace_principal(metadata, before)
            raise
        subscriptions.note("break_glass", made[0])
        ttl = self._manager.settings.access.break_glass_ttl
        self._until.setdefault(metadata, {})[patient_id] = self._manager.clock.monotonic() + ttl
        self.broken += 1
        self._alert()
        return made

    def kept(self, metadata: ConnectionMetadata, principal: Principal) -> Principal:
        """The principal of a renewed token with the patients whom the connection sees so, if it still may."""
        return self._authenticator.widened(principal, metadata.principal.beyond)

    def _check_right(self, metadata: ConnectionMetadata, topic: Topic) -> None:
        principal, patient_id = metadata.principal, topic.patient_id
        lacking = None
        if not principal.rights.break_glass:
            lacking = "break_glass"
        elif not principal.may_subscribe(topic.subscription_type):
            lacking = "subscribe"
        elif patient_id is not None and self._authenticator.is_withheld(principal, patient_id):
            lacking = "revoked"
        if lacking is not None:
            self._manager.access_notes.subscription_refused(
                metadata.connection_id, principal, topic, lacking, PERMISSION_DENIED
            )
            raise ServerError(PERMISSION_DENIED)

    def _alert(self) -> None:
        details = {"count": len(self._until)}
        if self._alerts.level("break_glass") is Level.OK:
            self._alerts.switch("break_glass", True, details, level=Level.WARNING)
        else:
            # Each time is told, also while it is raised already.
            self._alerts.notify("break_glass", details, level=Level.WARNING)

    def tick(self) -> None:
        """Look after all of them: whose time is over, and who does not see the patient so any more."""
        now = self._manager.clock.monotonic()
        for metadata, patients in list(self._until.items()):
            if self._manager.connections.get(metadata.connection_id) is not metadata:
                del self._until[metadata]
                continue
            for patient_id, until in list(patients.items()):
                if until <= now:
                    self._mend(metadata, patient_id, "time")
            self.settle(metadata)
        if not self._until and self._alerts.level("break_glass") is not Level.OK:
            self._alerts.switch("break_glass", False)

    def settle(self, metadata: ConnectionMetadata) -> None:
        """Let what is over be over: the subscription has ended, or the right has changed."""
        for patient_id in list(self._until.get(metadata, ())):
            if patient_id not in metadata.principal.beyond:
                self._mend(metadata, patient_id, "rights")
            elif not self._manager.index.find(metadata.handle, *Topic.of_patient(patient_id)):
                self._mend(metadata, patient_id, "ended")

    def _mend(self, metadata: ConnectionMetadata, patient_id: str, reason: str) -> None:
        patients = self._until[metadata]
        del patients[patient_id]
        if not patients:
            del self._until[metadata]
        self._manager.access_notes.glass_mended(
            metadata.connection_id, metadata.principal, patient_id, reason
        )
        if patient_id not in metadata.principal.beyond:
            return
        left = self._authenticator.without(metadata.principal, {patient_id})
        for ended in self._manager.replace_principal(metadata, left):
            details = {"subscription_type": ended.subscription_type, "target_id": ended.target_id}
            error = ServerError(
                PERMISSION_DENIED, "The right to this subscription has ended.", details=details
            )
            metadata.say(Error.of(error))
