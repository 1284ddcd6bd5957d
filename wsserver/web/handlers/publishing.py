"""``POST /ws/broadcast/…``: messages from programs that have no WebSocket."""

from typing import Any

from aiohttp import web

from wsserver.access.principal import Principal
from wsserver.errors import PERMISSION_DENIED, SHUTTING_DOWN, ServerError
from wsserver.observe.message_trail import NO_TRAIL, NoTrail, Trail
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import ANY, EVERYTHING, PATIENT, InvalidTopic, Topic
from wsserver.service import Service
from wsserver.store.store import KeyRecord
from wsserver.web.bearer import Bearer
from wsserver.web.request_body import read_body
from wsserver.web.responses import success


class PublishingHandlers:
    """Handlers of the routes that publish; each says which scope it needs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        # A cookie never publishes: what nurses and doctors see comes from nobody but programs.
        self._bearer = Bearer(service)

    async def broadcast_to_patient(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/broadcast/patient/{patient_id}``: the body is the message."""
        with self._trail(request) as trail:
            principal = await self._bearer.require(request, "broadcast:patient")
            topic = Topic.of_patient(request.match_info["patient_id"])
            return await self._publish(request, principal, topic, trail)

    async def broadcast_to_type(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/broadcast/type/{subscription_type}``: the body is the message."""
        name = request.match_info["subscription_type"]
        scopes = ("broadcast:type", "broadcast:patient") if name == PATIENT else ("broadcast:type",)
        with self._trail(request) as trail:
            principal = await self._bearer.require(request, *scopes)
            if name == ANY:
                # The topic of everything has a door of its own, with a scope of its own.
                raise InvalidTopic("subscription_type", "must name one type")
            topic = Topic(PATIENT, "*") if name == PATIENT else Topic.of(name)
            return await self._publish(request, principal, topic, trail)

    async def broadcast_to_all(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/broadcast/all``: the body is the message."""
        with self._trail(request) as trail:
            principal = await self._bearer.require(request, "broadcast:all")
            return await self._publish(request, principal, EVERYTHING, trail)

    def _trail(self, request: web.Request) -> Trail | NoTrail:
        """Where to note how a message goes, if somebody looks for any."""
        traces = self._service.traces
        return traces.begin("rest", topic=_addressed(request)) if traces.is_armed else NO_TRAIL

    async def _publish(
        self, request: web.Request, principal: Principal, topic: Topic, trail: Trail | None
    ) -> web.StreamResponse:
        if trail is not None:
            trail.address(principal.user_id, topic)
        if not self._service.running:
            raise ServerError(SHUTTING_DOWN)
        # Before the body is read: whoever may not see a patient learns nothing, not even of its form.
        self._check_patient(principal, topic.patient_id)
        manager = self._service.manager
        limit = manager.settings.broadcast.max_message_size
        body = await read_body(request, limit)
        if trail is not None:
            trail.receive(body)
        # The body may have taken half a minute, and the token been revoked meanwhile.
        principal = await self._service.authenticator.refresh(principal)
        severities = manager.subscription_manager.filters.severities
        published = PublishedMessage.from_json(body, topic=topic, max_size=limit, severities=severities)
        self._check_patient(principal, published.patient_id)
        if trail is not None:
            trail.validate(topic, published)

        async def publish(key: KeyRecord | None = None) -> dict[str, Any]:
            # Awaited, so that a publisher that waits for its answers cannot outrun the server.
            report: DeliveryReport = await manager.broadcasts.publish(topic, published, key=key, trail=trail)
            return report.as_dict()

        keys = request.headers.getall("Idempotency-Key", None)
        if keys is None:
            return success(await publish())
        # Several make no key, and neither does none at all: both are refused as such.
        key = keys[0] if len(keys) == 1 else ""
        answer = await self._service.idempotency.once(principal.user_id, topic.text, key, body, publish)
        if trail is not None and answer["duplicate"]:
            trail.duplicate(answer["message_id"])
        place = {"topic": topic.text, "log": manager.broadcasts.logs.durable.name}
        return success({**place, **answer})

    def _check_patient(self, principal: Principal, patient_id: str | None) -> None:
        if patient_id is not None and not principal.may_see(patient_id):
            self._service.manager.access_notes.publishing_refused(principal, patient_id, "patients")
            raise ServerError(PERMISSION_DENIED)


def _addressed(request: web.Request) -> Topic | None:
    """Where a message is to go, as far as its path says so."""
    patient_id, name = (request.match_info.get(key) for key in ("patient_id", "subscription_type"))
    try:
        if patient_id is not None:
            return Topic.of_patient(patient_id)
        return EVERYTHING if name is None else Topic(PATIENT, ANY) if name == PATIENT else Topic.of(name)
    except InvalidTopic:
        return None
