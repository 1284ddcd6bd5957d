"""The report of a run as one HTML file that needs nothing else, not even a network.

Its policy lets nothing run or be loaded but the style and the two scripts that are in it, by their hashes.
All that comes from a result is escaped.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.benchmark import Benchmark
from benchmarks.reports import chart_markup, document
from benchmarks.reports.figure import Figure
from benchmarks.reports.numbers import readable
from benchmarks.reports.shown import shown

MANY = 12
"""Figures of one benchmark above which they are folded."""

_PARTS = Path(__file__).with_name("page")

_MACHINE = {
    "processor": "Processor",
    "cores": "Processors",
    "thread_siblings": "Threads of one core",
    "governor": "Governor",
    "memory_bytes": "Memory",
    "virtualisation": "Virtualisation",
    "system": "System",
    "kernel": "Linux",
    "descriptor_limits": "Descriptors, soft and hard limit",
    "tcp_mem_pages": "tcp_mem, pages",
    "congestion_control": "Congestion control",
    "load_average": "Load at the start",
    "commit": "Commit",
}


def page(run: Mapping[str, Any], catalogue: Mapping[str, Benchmark]) -> str:
    """The page for the document of a run."""
    style = (_PARTS / "page.css").read_text()
    uplot = files("wsserver").joinpath("web/status_page/vendor/uplot/uPlot.iife.min.js").read_text()
    script = (_PARTS / "page.js").read_text()
    lines: list[dict[str, Any]] = []
    # In this order: the sections collect the lines.
    body = "".join(_body(run, catalogue, lines))
    policy = (
        f"default-src 'none'; script-src {_source(uplot)} {_source(script)}; style-src {_source(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(_title(run))}, {escape(run['date'][:10])}</title>\n<style>{style}</style>\n</head>\n"
        f'<body>\n{body}\n<script type="application/json" id="charts">{_json(lines)}</script>\n'
        f"<script>{uplot}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """For an element of script, which nothing in the text may end."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _title(run: Mapping[str, Any]) -> str:
    return f"Benchmarks of wsserver {run['machine']['versions'].get('wsserver', '')}"


def _body(
    run: Mapping[str, Any], catalogue: Mapping[str, Benchmark], lines: list[dict[str, Any]]
) -> Iterator[str]:
    date, machine = run["date"].replace("T", " ").replace("Z", " UTC"), run["machine"]
    yield '<a class="skip" href="#main">To the figures</a>\n<header>'
    yield f"<h1>{escape(_title(run))}</h1>"
    where = (
        f"{date}. {machine['processor']}, {machine['cores']} processors, Linux {machine['kernel']}, "
        f"Python {machine['versions'].get('python', '')}."
    )
    yield f'<p class="muted">{escape(where)}</p>'
    yield f"<p><code>{escape(run['command'])}</code></p>"
    for remark in _remarks(run):
        yield f'<p class="remark">{escape(remark)}</p>'
    names = "".join(
        f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in (*run["benchmarks"], "machine")
    )
    yield f'</header>\n<nav aria-label="Benchmarks"><ul>{names}</ul></nav>\n<main id="main">\n'
    yield _aims(run)
    for name, entry in run["benchmarks"].items():
        yield from _benchmark(name, entry, catalogue.get(name), lines)
    yield from _machine(machine)
    yield "</main>\n<footer><p>Figures are medians of the rounds that count, with the least and the most of "
    yield "them. Invalid is what the load client may have limited.</p></footer>"


def _remarks(run: Mapping[str, Any]) -> Iterator[str]:
    yield from run["remarks"]
    if run["quick"]:
        yield "This was a quick run: small sizes and few rounds, for a first look."
    if run["interrupted"]:
        yield "This run was interrupted: what was measured until then is all there is."


def _anchor(name: str) -> str:
    return "of-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)


def _aims(run: Mapping[str, Any]) -> str:
    rows = [
        _row(f"{name}: {one.name}", one)
        for name, many in document.figures(run).items()
        for one in many
        if one.aim is not None or one.unjudged is not None
    ]
    if not rows:
        return ""
    return f"<section><h2>What is aimed at</h2>{_table('Figures that have an aim', rows)}</section>\n"


def _benchmark(
    name: str, entry: Mapping[str, Any], benchmark: Benchmark | None, lines: list[dict[str, Any]]
) -> Iterator[str]:
    anchor = _anchor(name)
    yield f'<section id="{anchor}"><h2>{escape(name)}</h2>'
    about = benchmark.about if benchmark is not None else ""
    yield f"<p>{escape(about[:1].upper() + about[1:])} <span>({entry['seconds']:.0f} s)</span></p>"
    if entry["failure"] is not None:
        yield f'<p class="remark failure">Failed: {escape(entry["failure"])}</p>'
    seen = shown(benchmark, entry["result"])
    if seen.fault is not None:
        yield f'<p class="remark">{escape(seen.fault)}</p>'
    if seen.charts:
        yield '<div class="charts">'
        for number, chart in enumerate(seen.charts):
            place = f"chart-{anchor}-{number}"
            yield chart_markup.markup(chart, place)
            if not chart_markup.has_bars(chart):
                lines.append(chart_markup.data(chart, place))
        yield "</div>"
    if entry["figures"]:
        table = _table(f"Figures of {name}", [_row(one["name"], Figure(**one)) for one in entry["figures"]])
        count = len(entry["figures"])
        is_long = count > MANY
        yield f"<details><summary>All {count} figures</summary>{table}</details>" if is_long else table
    if seen.text:
        yield "<details><summary>As the command prints it</summary>"
        label = f"{escape(name)}, as text"
        yield f'<pre tabindex="0" role="region" aria-label="{label}">{escape(seen.text)}</pre></details>'
    yield "</section>\n"


def _table(caption: str, rows: list[str]) -> str:
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f'<caption>{escape(caption)}</caption><thead><tr><th scope="col">Figure</th>'
        '<th scope="col" class="number">Median</th><th scope="col" class="number">Aim</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(name: str, one: Figure) -> str:
    spread = (
        ""
        if one.least == one.most
        else f'<span class="under">{escape(readable(one.least))} to {escape(readable(one.most))}</span>'
    )
    unit = f'<span class="under">{escape(one.unit)}</span>'
    remarks = [remark for remark in (one.invalid, one.unjudged) if remark is not None]
    why = "".join(f'<span class="under">{escape(remark)}</span>' for remark in remarks)
    sign = "≥" if one.better == "more" else "≤"
    aim = "" if one.aim is None else f"{sign} {escape(readable(one.aim))}" if one.aim else "0"
    mark = "" if one.mark is None else f'<span class="mark {one.mark}">{one.mark}</span>'
    return (
        f'<tr><th scope="row">{escape(name)}{unit}{why}</th>'
        f'<td class="number">{escape(readable(one.median))}{spread}</td>'
        f'<td class="number">{aim}<span class="under">{mark}</span></td></tr>'
    )


def _machine(machine: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section id="{_anchor("machine")}"><h2>Machine and versions</h2><dl>'
    for key, title in _MACHINE.items():
        if key in machine:
            yield f"<dt>{title}</dt><dd>{escape(_fact(key, machine[key]))}</dd>"
    for key, line in machine.get("mitigations", {}).items():
        yield f"<dt>Mitigation, {escape(str(key))}</dt><dd>{escape(str(line))}</dd>"
    for key, version in machine["versions"].items():
        yield f"<dt>{escape(str(key))}</dt><dd>{escape(str(version))}</dd>"
    yield "</dl></section>\n"


def _fact(key: str, value: Any) -> str:
    if key == "memory_bytes":
        return f"{value / (1 << 30):.1f} GiB"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).replace("\t", " ")
