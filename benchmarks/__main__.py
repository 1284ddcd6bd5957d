"""``python -m benchmarks``: measure the real server on this machine.

\b
fanout   deliveries per second at 1,000 and 10,000 subscribers, against a bare C loop of
         send() over the same sockets and against await ws.send_str on aiohttp + uvloop;
         and that 10,000 connections get 20 broadcasts exactly once and in order
mixed    the same to 10,000 of whom half speak the binary protocol, against 10,000 in JSON
memory   resident memory per idle, authenticated connection with one subscription
accept   connections accepted per second, token check included, against aiohttp's bare upgrade; and
         the same while as many others leave
inbound  commands and published messages of clients per second, by one connection and by 1,000, in JSON
         and in binary, against aiohttp's bare echo of the same frames
idle     the server's share of one core with 10,000 connections that only answer heartbeats
filters  time to find a message's receivers among 12,500 to 100,000 subscriptions with filters of
         six kinds, against a scan of them all in plain Python and one of compiled filters;
         memory and time per subscription
slow     what a tenth of 10,000 clients, which stop reading for a minute, cost the others, the memory
         and their own alerts; and whether every loss is accounted for and told
trace    what the message trace costs publishing and fan-out: with nothing armed, with one armed for
         others and for these, against the same server without the tracer
encodings  an ECG message as JSON, as a binary frame and with LZ4: bytes, time to write and to read
durable  publishes per second to a store on disk, many in a commit and one each, against memory
operators  fan-out to 10,000 with two status pages and a Prometheus scrape every 5 s, against the same
         without them; and what no page, two and fifty cost while nothing is sent
drain    clients sent away by TERM: how fast they return, to a successor and to another instance,
         how long they are away, how long the process takes to end
herd     kill -9 under all clients: how long until all are back, and what that does to the loop

Without a name all of them run, each in a process of its own. Needs Linux, a C compiler and about
11,000 file descriptors; the server takes the first processor and the load client the last.
Settings: benchmarks/profile.toml. Filters are measured without the server and need neither.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.catalogue import SUITE, Options
from benchmarks.reports import growth_plot


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(tuple(SUITE)), required=False)
@click.option("--quick", is_flag=True, help="Small sizes and few rounds: under a minute, for a first look.")
@click.option("--connections", type=click.IntRange(1, 11_900), help="One size instead of the usual ones.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Rounds that count, after one that does not.")
@click.option(
    "--subscriptions",
    type=click.IntRange(100, 1_000_000),
    help="One size of filters instead of the usual ones.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.05, 3600),
    help="How long idle and slow look on, clients are stalled, durable publishes, a round of operators "
    "or inbound lasts.",
)
@click.option("--rate", type=click.FloatRange(1, 100_000), help="Clients per second that a drain sends back.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw there (PNG) how filters' times grow with the size."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where durable puts its stores: on the disk that is meant.",
)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write them here, too.")
def main(name: str | None, target: Path | None, **given: Any) -> None:
    options = Options(**given)
    if options.plot is not None:
        try:
            growth_plot.check_possible()
        except growth_plot.PlotImpossible as fault:
            raise click.ClickException(f"--plot: {fault}") from None
    if name is None:
        result = _all(sys.argv[1:])
    else:
        result = SUITE[name].measure(options)
        click.echo(SUITE[name].table(result))
    if target is not None:
        target.write_text(json.dumps(result, indent=2) + "\n")


def _all(options: list[str]) -> dict[str, Any]:
    """Each in a process of its own: memory must not find what another has left behind."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "result.json"
        for name in SUITE:
            # The last --json wins.
            subprocess.run(
                [sys.executable, "-m", "benchmarks", name, *options, "--json", str(target)], check=True
            )
            results[name] = json.loads(target.read_text())
    return results


if __name__ == "__main__":
    main()
