"""``wsserver top``: a running server, live."""

import asyncio
import importlib.util
import os
from contextlib import aclosing, suppress
from typing import Any

import click
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import remote_options
from wsserver.cli.terminal.feed import Feed
from wsserver.cli.terminal.keyboard import keys_of, standard_input
from wsserver.cli.terminal.picture import SORTS, Picture, Sort

_NO_WIDTH = 100


@click.command()
@remote_options
@click.option("--once", is_flag=True, help="Print one picture as text and end.")
@click.option("--json", "as_json", is_flag=True, help="Print each picture as JSON on one line.")
@click.option(
    "--poll", is_flag=True, help="Ask again and again, even where the server would speak by itself."
)
@click.option(
    "--sort", type=click.Choice(SORTS), default=SORTS[0], show_default=True, help="Of slow connections."
)
def top(url: URL, token: str, once: bool, as_json: bool, poll: bool, sort: Sort) -> None:
    """Watch a server: how full it is, what flows, latencies, slow connections, alerts.

    Keys: q ends, p pauses, s sorts slow connections by the next figure. The token needs the scope
    admin:read; where only polling works, metrics:read as well.
    """
    if not as_json and importlib.util.find_spec("rich") is None:
        raise click.UsageError("rich is not installed: pip install 'wsserver[cli]', or use --json")
    feed = Feed(url, token, live=not poll)
    with suppress(KeyboardInterrupt):
        if once or as_json:
            asyncio.run(_print(feed, sort, once=once, as_json=as_json))
        else:
            asyncio.run(_Watch(feed, sort).run())


async def _print(feed: Feed, sort: Sort, *, once: bool, as_json: bool) -> None:
    async with aclosing(feed.pictures()) as pictures:
        number = 0
        async for picture in pictures:
            number += 1
            # The first of two that were polled has no rates.
            if once and picture.source == "polled" and number == 1:
                continue
            click.echo(json_line(picture) if as_json else _text(picture, sort))
            if once:
                return


def _text(picture: Picture, sort: Sort) -> str:
    from wsserver.cli.terminal.screen import as_text

    return as_text(picture, sort, _width())


def _width() -> int:
    try:
        return int(os.environ.get("COLUMNS", _NO_WIDTH))
    except ValueError:
        return _NO_WIDTH


class _Watch:
    """The screen and the keys."""

    def __init__(self, feed: Feed, sort: Sort) -> None:
        self._feed = feed
        self._sort = sort
        self._picture: Picture | None = None
        self._paused = False
        self._ended = asyncio.Event()
        self._draw: Any = None

    async def run(self) -> None:
        """Until ``q``, an interrupt or a failure."""
        from rich.console import Console
        from rich.live import Live

        from wsserver.cli.terminal.screen import render

        console = Console(highlight=False)
        if not console.is_terminal:
            raise Failure("this is no terminal: use --once or --json")
        with Live(console=console, screen=True, auto_refresh=False) as live:

            def draw() -> None:
                if self._picture is not None:
                    shown = render(self._picture, self._sort, paused=self._paused, notice=self._feed.notice)
                    live.update(shown, refresh=True)

            self._draw = draw
            with keys_of(standard_input(), asyncio.get_running_loop(), self._struck):
                following = asyncio.ensure_future(self._follow())
                ending = asyncio.ensure_future(self._ended.wait())
                try:
                    await asyncio.wait({following, ending}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (following, ending):
                        task.cancel()
                    await asyncio.wait({following, ending})
        if not following.cancelled() and (problem := following.exception()) is not None:
            raise problem

    async def _follow(self) -> None:
        refreshing = asyncio.ensure_future(self._tell_of_trouble())
        try:
            async with aclosing(self._feed.pictures()) as pictures:
                async for picture in pictures:
                    if not self._paused:
                        self._picture = picture
                        self._draw()
        finally:
            refreshing.cancel()

    async def _tell_of_trouble(self) -> None:
        """Draw again when the way to the server changes, of which no picture tells."""
        known = ""
        while True:
            await asyncio.sleep(0.5)
            if self._feed.notice != known:
                known = self._feed.notice
                self._draw()

    def _struck(self, key: str) -> None:
        if key in "qQ":
            self._ended.set()
        elif key in "pP ":
            self._paused = not self._paused
            self._draw()
        elif key in "sS":
            self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
            self._draw()
