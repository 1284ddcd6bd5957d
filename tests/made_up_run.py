"""A run of benchmarks that nobody has measured: its numbers look like some, and its words are hostile."""

import copy
from typing import Any

from benchmarks.benchmark import Benchmark
from benchmarks.reports.chart import Chart, Line

HOSTILE = "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>&amp;"
"""Stands where a name could come from: in titles, names, units, failures, texts, versions."""

SIZES = [1_000, 5_000, 10_000, 18_000]


def _spread(values: list[float]) -> tuple[list[float], list[float], list[float]]:
    return values, [value * 0.93 for value in values], [value * 1.05 for value in values]


def _growth(result: dict[str, Any]) -> list[Chart]:
    return [
        Chart(
            "fanout-growth",
            "Growth of one broadcast, 200 B, one at a time",
            "subscribers",
            "deliveries per second",
            SIZES,
            [
                Line("this server", *_spread([329_000, 262_000, 226_000, 219_000])),
                Line("C loop of send", *_spread([357_000, 281_000, 241_000, 233_000]), is_reference=True),
                Line("await ws.send_str", *_spread([228_000, 171_000, 154_000, 149_000])),
            ],
        ),
        Chart(
            "fanout-latency",
            "Latency to the last receiver by load",
            "share of the capacity, %",
            "ms",
            [10, 50, 90],
            [
                Line("p50", [31, 38, None]),
                Line("p99", [44, 61, 1_870]),
                Line("max", [52, 90, 2_310]),
            ],
            y_logarithmic=True,
        ),
    ]


def _bars(result: dict[str, Any]) -> list[Chart]:
    peers = [
        "this server", "picows", "websockets broadcast", "aiohttp, gather", "uvicorn and Starlette",
        "python-socketio", "node ws", "socketify (uWebSockets)", HOSTILE,
    ]  # fmt: skip
    values = [226_000.0, 201_000.0, 178_000.0, 141_000.0, 88_000.0, 31_000.0, 164_000.0, 215_000.0, 12.5]
    size = [1_754.0, 708.0]
    return [
        Chart(
            "peers", "Fan-out to 10,000", "server", "deliveries per second", peers,
            [Line("rate", *_spread(values))],
        ),
        Chart(
            "encodings", f"Bytes and time {HOSTILE}", "", "µs", ["250 mV", "250 raw"],
            [Line("JSON", size), Line("binary", [220.0, None]), Line(HOSTILE, [18.0, 7.0])],
            y_logarithmic=True,
        ),
        Chart("one-place", "One size only", "subscribers", "1/s", [1_000], [Line("rate", [5.0])]),
    ]  # fmt: skip


CATALOGUE = {
    "fanout": Benchmark(dict, lambda result: f"{'329,000 a second':90}|\n" * 3, charts=_growth, about="why"),
    "peers": Benchmark(dict, lambda result: HOSTILE, charts=_bars, about=f"others {HOSTILE}"),
    "broken": Benchmark(dict, str, about="what fails"),
}  # fmt: skip


def figure(name: str, median: float, least: float, most: float, **more: Any) -> dict[str, Any]:
    """A figure as documents have it."""
    usual = {"unit": "deliveries/s", "better": "more", "aim": None, "invalid": None}
    return {"name": name, "median": median, "least": least, "most": most, **usual, **more}


_RUN = {
    "schema": 1,
    "date": "2026-03-01T09:30:00Z",
    "command": "python -m benchmarks --quick",
    "quick": True,
    "interrupted": False,
    "remarks": ["Others use this machine: load 3.2. Figures by the clock will be low and spread."],
    "machine": {
        "versions": {"wsserver": "0.1.0", "python": "3.11.9", "aiohttp": "3.14.4", "uvloop": HOSTILE},
        "commit": "0123456789ab+",
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.18.1",
        "processor": "Intel(R) Xeon(R) Processor @ 2.10GHz",
        "cores": 2,
        "governor": "unknown",
        "virtualisation": "virtual machine",
        "mitigations": {
            "spectre_v2": "Mitigation: Retpolines; IBPB: conditional; STIBP: disabled; RSB filling; BHI: none"
        },
        "memory_bytes": 8_320_000_000,
        "descriptor_limits": [20_000, 20_000],
        "tcp_mem_pages": "287898\t383866\t575796",
        "congestion_control": "bbr",
        "load_average": 3.21,
    },
    "benchmarks": {
        "fanout": {
            "seconds": 161.2,
            "failure": None,
            "figures": [
                figure(
                    "10,000 subscribers, 200 B, one at a time: to the C loop", 0.951, 0.93, 0.98,
                    unit="of its rate", aim=0.95,
                ),
                figure(
                    "10,000 subscribers, 200 B, bursts of 16: to one send per message", 7.4, 7.1, 7.9,
                    unit="times", aim=8.0,
                ),
                figure(
                    "10,000 subscribers, 200 B, one at a time: ours", 226_000, 210_000, 231_000,
                    invalid="the load client was 98 % busy",
                ),
                figure("memory per connection", 3_900, 3_900, 3_900, unit="bytes", better="less", aim=4_000),
            ],
            "result": {"benchmark": "fanout", "client_cpu_share": 0.98, "rounds_limited_by_client": 2},
        },
        "peers": {
            "seconds": 240.0,
            "failure": None,
            "figures": [
                figure(HOSTILE, 1.0, 0.5, 2.0, unit=HOSTILE, aim=0.4, invalid=HOSTILE),
                *(figure(f"peer {number}", 10 * number, 9 * number, 11 * number) for number in range(14)),
            ],
            "result": {"benchmark": "peers", "stages": [{"client_cpu_share": 0.6}] * 2},
        },
        "broken": {"seconds": 2.0, "failure": f"ValueError: {HOSTILE}", "figures": [], "result": None},
        "unknown": {"seconds": 3.0, "failure": None, "figures": [], "result": {"benchmark": "unknown"}},
    },
}  # fmt: skip


def made_up_run() -> dict[str, Any]:
    """A document of its own for each caller."""
    return copy.deepcopy(_RUN)
