"""The documents as tests read them: code blocks, tables and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "wsserver" / "docs"
README = ROOT / "README.md"
EVERY_DOCUMENT = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of code and the line on which it begins."""

    language: str
    text: str
    line: int


def blocks(path: Path, language: str, *, under: str | None = None) -> list[Block]:
    """The code blocks of one language, of the whole file or below one heading."""
    text = path.read_text()
    start, end = (0, len(text)) if under is None else _section(text, under)
    return [
        Block(found["language"], found["text"], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text, start, end)
        if found["language"] == language
    ]


def table(path: Path, *headings: str) -> list[list[str]]:
    """The cells of the one table whose first columns have these headings."""
    lines = path.read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(f"| {' | '.join(headings)} |")]
    assert len(starts) == 1, f"{path.name} has {len(starts)} tables that begin with {headings}"
    rows = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def bare(cell: str) -> str:
    """The cell without back quotes."""
    return cell.replace("`", "")


def links(path: Path) -> Iterator[str]:
    """Where the document points to, addresses on the web left out."""
    for found in _LINK.finditer(_FENCE.sub("", path.read_text())):
        if "://" not in found["target"]:
            yield found["target"]


def anchors(path: Path) -> set[str]:
    """The anchors of the document's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _section(text: str, heading: str) -> tuple[int, int]:
    found = re.search(rf"^(?P<level>#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found is not None, f"no heading {heading!r}"
    following = re.compile(rf"^#{{1,{len(found['level'])}}} ", re.MULTILINE).search(text, found.end())
    return found.end(), following.start() if following else len(text)
