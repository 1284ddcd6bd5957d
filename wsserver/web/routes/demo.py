"""Routes of the demonstration, which are there with ``--demo`` only."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wsserver.demo.page import PageFile, load_page
from wsserver.web.handlers.demo import serve_page_file
from wsserver.web.route import Answer, Door, Route

TAG: Final = "Demonstration"


class DemoPatient(msgspec.Struct):
    """A simulated patient."""

    id: str
    label: str


class DemoConfig(msgspec.Struct):
    """Where to connect, with a fresh token for the simulated patients and no others."""

    url: Literal["/ws/connect"]
    token: str
    user_id: str
    role: str
    patients: list[DemoPatient]


class DemoQuery(msgspec.Struct):
    """Who is back."""

    user_id: Annotated[str, Meta(description="Of an earlier answer.")] | UnsetType = UNSET


_CONFIG: Final = Route(
    method="GET",
    path="/demo/config.json",
    handler=lambda handlers: handlers.demo.config,
    door=Door.NONE,
    summary="Where the demonstration connects, and as whom",
    description="Only with `--demo`.",
    tag=TAG,
    query=DemoQuery,
    answers=(
        Answer(
            text="A token for an hour.",
            data=DemoConfig,
            envelope=False,
            example={
                "url": "/ws/connect",
                "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln",
                "user_id": "demo_9f27fecbc51225c22150b167",
                "role": "visitor",
                "patients": [{"id": "demo-1", "label": "Bed 1"}],
            },
        ),
    ),
)


def _page(path: str, file: PageFile) -> Route:
    serve = serve_page_file(file)
    return Route(
        method="GET",
        path=path,
        handler=lambda _: serve,
        door=Door.NONE,
        summary="A file of the demonstration's page",
        description="Only with `--demo`.",
        tag=TAG,
        answers=(
            Answer(
                text="The file.",
                media_types=(file.content_type.partition(";")[0],),
                headers={"ETag": "Belongs to these bytes."},
            ),
            Answer(status=304, text="It is as `If-None-Match` says.", media_types=()),
        ),
    )


def demo_routes() -> tuple[Route, ...]:
    """The page's files, read now, and what it asks for."""
    return (_CONFIG, *(_page(path, file) for path, file in load_page().items()))
