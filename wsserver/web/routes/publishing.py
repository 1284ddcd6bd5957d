"""Routes that publish."""

from typing import Annotated, Any, Final

from msgspec import Meta

from wsserver.api_documents.publishing import PUBLISHED, REPORT, DeliveryReport
from wsserver.errors import BACKPRESSURE, INVALID_MESSAGE, PERMISSION_DENIED, SHUTTING_DOWN
from wsserver.publishing.idempotency import MAX_KEY
from wsserver.web.route import Answer, Body, Door, Parameter, Refusal, Route
from wsserver.web.routes.forms import Id

TAG: Final = "Publishing"


_KEY: Final = Parameter(
    text="A key of this request's own, such as a UUID: sent again with the same body within 24 hours, it "
    "gives the first answer and publishes nothing.",
    example="8e03978e-40d5-43dd-bc93-6894a57f9324",
    form=Annotated[str, Meta(pattern="^[!-~]+$", min_length=1, max_length=MAX_KEY)],
)

_REFUSALS: Final = (
    Refusal(PERMISSION_DENIED, "The token may not see the patient."),
    Refusal(INVALID_MESSAGE, "The Idempotency-Key was used with another body.", status=409),
    Refusal(
        BACKPRESSURE, "Too much waits, or the message could not be stored (`details.reason`): send again."
    ),
    Refusal(SHUTTING_DOWN, "The server is going down."),
)


def _publishes(path: str, **what: Any) -> Route:
    topic = what.pop("topic")
    return Route(
        method="POST",
        path=f"/ws/broadcast/{path}",
        tag=TAG,
        door=Door.BEARER,
        headers={"Idempotency-Key": _KEY},
        answers=(
            Answer(
                text="The message is on its way, and this is what became of it.",
                data=DeliveryReport,
                example={**REPORT, "topic": topic},
            ),
        ),
        refusals=_REFUSALS,
        **what,
    )


PUBLISHING: Final = (
    _publishes(
        "patient/{patient_id}",
        handler=lambda handlers: handlers.publishing.broadcast_to_patient,
        scopes=("broadcast:patient",),
        summary="Publish to those who watch a patient",
        description="Reaches the subscriptions to this patient, and those to `patient:*` and `*` of users "
        "who may see the patient. A `patient_id` in the body must be the one of the path.",
        place={"patient_id": Parameter(text="The patient.", example="123", form=Id)},
        body=Body(
            form=PUBLISHED,
            example={"type": "ecg_data", "patient_id": 123, "data": [1.2, 1.5, 1.8], "severity": "normal"},
        ),
        topic="patient:123",
    ),
    _publishes(
        "type/{subscription_type}",
        handler=lambda handlers: handlers.publishing.broadcast_to_type,
        scopes=("broadcast:type",),
        summary="Publish to the subscribers of a type",
        description="For the type `patient` the scope `broadcast:patient` is needed as well. A message with "
        "a `patient_id` reaches only users who may see that patient.",
        place={"subscription_type": Parameter(text="The type of subscription.", example="vitals", form=Id)},
        body=Body(form=PUBLISHED, example={"type": "vitals", "patient_id": 123, "heart_rate": 61}),
        topic="vitals:*",
    ),
    _publishes(
        "all",
        handler=lambda handlers: handlers.publishing.broadcast_to_all,
        scopes=("broadcast:all",),
        summary="Publish to every connection",
        description="Every authenticated connection gets it, whatever it is subscribed to; a message with a "
        "`patient_id` only those that may see that patient.",
        body=Body(form=PUBLISHED, example={"type": "announcement", "text": "Maintenance tonight at two."}),
        topic="*",
    ),
)
