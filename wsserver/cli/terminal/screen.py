"""A picture as lines for a terminal, made with rich."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from wsserver.cli.terminal.picture import AlertRow, Bar, Picture, Sort, sorted_by
from wsserver.log import escape_controls

BAR_WIDTH: Final = 24
MAX_SLOW: Final = 15
MAX_ALERTS: Final = 8

_WARNING: Final = 0.8
_CRITICAL: Final = 0.95
_LEVELS: Final = {"critical": "bold red", "warning": "yellow"}
_STATES: Final = {"accepting": "green", "answering": "green", "refusing": "yellow", "draining": "yellow"}
_SCALE: Final = (("G", 2**30), ("M", 2**20), ("k", 2**10))


def render(picture: Picture, sort: Sort, *, paused: bool = False, notice: str = "") -> RenderableType:
    """The whole screen. What came from the server is shown as text and nothing else."""
    parts: list[RenderableType] = [_head(picture, paused=paused, notice=notice), Text()]
    parts += [_bars(picture.bars), Text(), _figures(picture), Text(), _slow(picture, sort), Text()]
    parts += [_alerts(picture.alerts)]
    return Group(*parts)


def as_text(picture: Picture, sort: Sort, width: int) -> str:
    """The same without colours, for scripts."""
    console = Console(width=width, no_color=True, force_terminal=False, legacy_windows=False, highlight=False)
    with console.capture() as capture:
        console.print(render(picture, sort))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _head(picture: Picture, *, paused: bool, notice: str) -> Text:
    text = Text()
    text.append("wsserver", "bold")
    for word in (picture.version, picture.node):
        if word is not None:
            text.append(f" {escape_controls(word)}")
    text.append("  ")
    text.append(escape_controls(picture.state), _STATES.get(picture.state, "bold red"))
    if picture.reasons:
        text.append(f" ({escape_controls(', '.join(picture.reasons))})")
    if picture.uptime_s is not None:
        text.append(f"  up {_duration(picture.uptime_s)}")
    text.append(f"  {escape_controls(picture.at)}", "dim")
    text.append("  live" if picture.source == "live" else "  polled", "dim")
    if paused:
        text.append("  PAUSED", "bold yellow")
    if notice:
        text.append(f"  {escape_controls(notice)}", "yellow")
    return text


def _bars(bars: Iterable[Bar]) -> Table:
    table = Table.grid(padding=(0, 2))
    for bar in bars:
        count = _bytes if bar.unit == "bytes" else _count
        limit = "" if bar.limit is None else f" / {count(bar.limit)}"
        peak = "" if bar.peak is None else f"peak {count(bar.peak)}"
        share = "" if bar.share is None else f"{bar.share:.0%}"
        current = f"{count(bar.current)}{limit}"
        table.add_row(bar.name, _drawn(bar.share), current, share, Text(peak, "dim"))
    return table


def _drawn(share: float | None) -> Text:
    if share is None:
        return Text("." * BAR_WIDTH, "dim")
    full = min(round(share * BAR_WIDTH), BAR_WIDTH)
    colour = "red" if share >= _CRITICAL else "yellow" if share >= _WARNING else "green"
    return Text("#" * full, colour) + Text("." * (BAR_WIDTH - full), "dim")


def _figures(picture: Picture) -> Table:
    table = Table.grid(padding=(0, 2))
    rates, figures = picture.rates, picture.figures
    table.add_row(
        "messages/s", f"in {_rate(rates['messages_in'])}", f"out {_rate(rates['messages_out'])}",
        f"published {_rate(rates['published'])}", f"delivered {_rate(rates['deliveries'])}",
    )  # fmt: skip
    table.add_row(
        "bytes/s", f"in {_bytes(rates['bytes_in'])}", f"out {_bytes(rates['bytes_out'])}",
        f"refused {_rate(rates['refused'])}/s", f"errors {_rate(rates['errors'])}/s",
    )  # fmt: skip
    table.add_row(
        "connections/s", f"new {_rate(rates['connects'])}", f"gone {_rate(rates['disconnects'])}", "", ""
    )
    table.add_row(
        "latency ms", f"p50 {_ms(figures['write_p50_ms'])}", f"p95 {_ms(figures['write_p95_ms'])}",
        f"p99 {_ms(figures['write_p99_ms'])}", f"rtt {_ms(figures['rtt_ms'])}",
    )  # fmt: skip
    table.add_row("loop lag ms", _ms(figures["loop_lag_ms"]), "", "", "")
    return table


def _slow(picture: Picture, sort: Sort) -> RenderableType:
    rows = sorted_by(picture, sort)
    heading = Text(f"slow connections: {picture.slow_connections}", "bold")
    if not rows:
        return heading
    heading.append(f", by {sort}", "dim")
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for name in ("connection", "user", "role"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("messages", "bytes", "oldest", "slow for", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows[:MAX_SLOW]:
        table.add_row(
            *(Text(escape_controls(word)) for word in (row.connection_id, row.user_id, row.role)),
            _count(row.pending_messages), _bytes(row.pending_bytes), _age(row.oldest_age_s),
            _age(row.slow_for_s), "-" if row.dropped is None else _count(row.dropped),
        )  # fmt: skip
    more = len(rows) - MAX_SLOW
    return Group(heading, table, *([Text(f"and {more} more", "dim")] if more > 0 else []))


def _alerts(alerts: list[AlertRow]) -> RenderableType:
    if not alerts:
        return Text("alerts: none", "green")
    lines = [Text(f"alerts: {len(alerts)}", "bold")]
    for one in alerts[:MAX_ALERTS]:
        value = "" if one.value is None else f" {one.value:g} {one.unit}"
        text = escape_controls(f"  {one.level} {one.alert}{value} since {one.since}")
        lines.append(Text(text, _LEVELS.get(one.level, "")))
    if len(alerts) > MAX_ALERTS:
        lines.append(Text(f"  and {len(alerts) - MAX_ALERTS} more", "dim"))
    return Group(*lines)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: float | None) -> str:
    if value is None:
        return "-"
    for unit, size in _SCALE:
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.0f}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}s" if seconds < 100 else _duration(seconds)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s"
