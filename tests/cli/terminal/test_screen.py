"""What a terminal shows of a picture."""

from terminal.panels import consumer, overview, slow

from wsserver.cli.terminal.picture import of_panels
from wsserver.cli.terminal.screen import BAR_WIDTH, MAX_SLOW, as_text

PICTURE = of_panels({"overview": overview(), "slow": slow(consumer(1), consumer(2))})


def line(text: str, start: str) -> str:
    (found,) = [one for one in text.splitlines() if one.startswith(start)]
    return found


def test_a_picture_is_told_in_text() -> None:
    text = as_text(PICTURE, "pending_bytes", 120)
    assert text.splitlines()[0] == (
        "wsserver 0.1.0 ward7  accepting  up 41m 7s  2026-11-26T10:41:07.000Z  live"
    )
    assert line(text, "connections  ").split() == [
        "connections", "#" * 23 + ".", "9,600", "/", "10,000", "96%", "peak", "9,700",
    ]  # fmt: skip
    assert line(text, "memory").split()[2:5] == ["300.0M", "/", "1.0G"]
    assert line(text, "queue").split() == ["queue", "." * BAR_WIDTH, "0", "peak", "1.0M"]
    assert line(text, "messages/s").split()[:6] == ["messages/s", "in", "12", "out", "12,345", "published"]
    assert line(text, "latency ms").split()[-3:] == ["1.25", "rtt", "-"]
    assert line(text, "slow connections") == "slow connections: 2, by pending_bytes"
    assert line(text, "c_2").split() == ["c_2", "•••07", "nurse", "12", "2.0k", "7.2s", "12.5s", "3"]
    assert line(text, "  critical") == (
        "  critical connection_count 9600 connections since 2026-11-26T10:40:00.000Z"
    )


def test_nothing_wrong_is_said_so() -> None:
    text = as_text(of_panels({"overview": overview(alerts=[], slow_connections=0)}), "dropped", 100)
    assert text.splitlines()[-1] == "alerts: none"
    assert line(text, "slow connections") == "slow connections: 0"


def test_what_a_terminal_or_rich_would_obey_is_shown_as_text() -> None:
    wild = "\x1b[2J[bold red]x\x9b[/]"
    panels = {
        "overview": overview(node=wild, state=wild, reasons=[wild], at=wild, version=wild),
        "slow": slow(consumer(1, connection_id=wild, user_id=wild, role=wild)),
    }
    panels["overview"]["alerts"][0].update(alert=wild, level=wild, since=wild, unit=wild)
    text = as_text(of_panels(panels), "dropped", 400)
    assert all(one.isprintable() for one in text.splitlines())
    assert text.count("\\x1b[2J[bold red]x\\x9b[/]") == 12


def test_more_than_a_screen_is_counted() -> None:
    picture = of_panels({"overview": overview(), "slow": slow(*map(consumer, range(MAX_SLOW + 3)))})
    text = as_text(picture, "pending_messages", 100)
    assert "and 3 more" in text
    assert text.index(f"c_{MAX_SLOW + 2} ") < text.index(f"c_{MAX_SLOW + 1} ")


def test_a_narrow_terminal_breaks_nothing() -> None:
    for width in (10, 40, 80, 200):
        assert all(len(one) <= width for one in as_text(PICTURE, "dropped", width).splitlines())
