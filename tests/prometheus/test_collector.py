"""A whole scrape: its sums under churn, its bounds under malice, and its form."""

import random
import subprocess
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.registry import CollectorRegistry
from scrape import PROMTOOL, check_growth, check_sums, scrape, series_of, text_of, total, value
from workbench import Workbench

from wsserver.errors import CloseCode
from wsserver.prometheus.collector import ServiceCollector
from wsserver.settings.roles import RoleSettings, default_roles
from wsserver_core.frames import CLOSE

MOST_SERIES = 2000


@pytest.mark.parametrize("seed", range(5))
async def test_the_sums_hold_in_every_scrape_while_clients_come_and_go(seed: int) -> None:
    dice = random.Random(seed)
    bench = await Workbench(backpressure={"max_queue_messages": 4}).start()
    clients, strangers = [], []
    before = scrape(bench.service)
    for step in range(50):
        act = dice.randrange(11)
        if act <= 2 or not clients:
            role = dice.choice(["doctor", "nurse", "admin"])
            client = await bench.client(f"u{step}", role, binary=dice.random() < 0.4, patients=["5"])
            clients.append(client)
            await bench.ask(client, type="subscribe", topic=dice.choice(["patient:5", "type:ecg", "*"]))
        elif act == 3:
            clients.pop(dice.randrange(len(clients))).leave()
        elif act == 4:
            metadata = bench.owner(clients.pop(dice.randrange(len(clients))))
            bench.manager.disconnect(metadata.connection_id, dice.choice(["reconnect", "revoked", ""]))
        elif act == 5:
            code = dice.choice([1000, 1001, 3007, 4999])
            clients.pop(dice.randrange(len(clients))).send_raw(CLOSE, code.to_bytes(2, "big"))
        elif act == 6:
            dice.choice(clients).stuck = True
        elif act == 7:
            strangers.append(bench.connect(f"f{step}", "technician")[0])
        else:
            bench.clock.advance(0.001)
            for severity in dice.sample(["critical", "warning", "normal"], 2):
                bench.manager.broadcast_to_patient(5, {"type": "ecg_data", "severity": severity})
        # In the middle of things as well, while frames wait for the loop's turn.
        if dice.random() < 0.6:
            bench.loop.run()
        after = scrape(bench.service)
        check_sums(after)
        check_growth(before, after)
        before = after
    assert total(before, "wsserver_connections") == len(bench.manager.connections)
    assert total(before, "wsserver_disconnects_total") > 0
    assert total(before, "wsserver_written_total") > 0


async def test_a_connection_is_counted_under_the_code_that_it_ended_with() -> None:
    bench = await Workbench().start()
    one, two, three, four = [await bench.client(f"u{number}") for number in range(4)]
    bench.manager.disconnect(bench.owner(one).connection_id, "operator")
    two.send_raw(CLOSE, (3999).to_bytes(2, "big"))
    three.leave()
    await bench.settle()
    series = scrape(bench.service)
    codes = {"4523": 1, "1006": 1, "other": 1}
    for code, count in codes.items():
        assert value(series, "wsserver_disconnects_total", code=code) == count
    assert total(series, "wsserver_disconnects_total") == 3
    assert not four.is_closing()


async def test_hostile_names_and_codes_make_no_series() -> None:
    many = {f"role{number}": RoleSettings(subscribe=(f"t{number}",)) for number in range(500)}
    roles = default_roles() | many
    bench = await Workbench(access={"roles": roles}, connection={"max_connections_per_role": 10_000}).start()
    before = scrape(bench.service)
    for number in range(0, 500, 25):
        bench.connect(f"u{number}", f"role{number}")
    watcher = await bench.client("watcher", "doctor")
    for number in range(60):
        await bench.ask(watcher, type="subscribe", topic=f"evil{number}:x{number}")
    for code in range(3000, 5000, 40):
        client = await bench.client(f"c{code}", "nurse")
        client.send_raw(CLOSE, code.to_bytes(2, "big"))
        await bench.settle()
        bench.manager.set_accept_connections(False, cause=f"evil{code}")
        bench.manager.set_accept_connections(True, cause=f"evil{code}")
    bench.manager.set_accept_connections(False, cause="evil")
    bench.service.overload.alerts.notify("evil-alert")
    bench.manager.broadcast_to_type("evil1", {"type": "evil-message", "severity": "evil"})
    await bench.settle()
    text = text_of(bench.service)
    after = series_of(text)
    assert "evil" not in text
    assert before.keys() == after.keys()
    assert len(after) < MOST_SERIES
    check_sums(after)
    assert value(after, "wsserver_connections", role="other") > 0
    assert value(after, "wsserver_subscriptions", type="other") >= 50
    assert value(after, "wsserver_disconnects_total", code="other") == 50 - len(
        [code for code in range(3000, 5000, 40) if code in set(CloseCode)]
    )
    assert value(after, "wsserver_refusing", cause="other") == 1


async def test_nobody_s_id_is_in_a_scrape() -> None:
    bench = await Workbench().start()
    client = await bench.client("user-secret", patients=["patient-secret"])
    await bench.ask(client, type="subscribe", topic="patient:patient-secret", filters={"field-secret": 1})
    bench.manager.broadcast_to_patient("patient-secret", {"field-secret": 1})
    await bench.settle()
    text = text_of(bench.service)
    assert value(series_of(text), "wsserver_written_total") == 1
    for secret in ("secret", bench.owner(client).connection_id):
        assert secret not in text


async def test_both_formats_say_the_same() -> None:
    bench = await Workbench().start()
    await bench.client()
    collector = ServiceCollector(bench.service)
    plain = series_of(text_of(bench.service))
    families = list(read_openmetrics(openmetrics.generate_latest(collector).decode()))
    modern = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
    assert modern.keys() == plain.keys()
    changing = ("process_", "wsserver_memory_used_bytes", "wsserver_loop_lag")
    for key in modern:
        assert key[0].startswith(changing) or modern[key] == plain[key], key


async def test_it_may_be_given_to_a_registry() -> None:
    bench = await Workbench().start()
    registry = CollectorRegistry()
    registry.register(ServiceCollector(bench.service))
    assert registry.get_sample_value("wsserver_connections_limit") == 10_000


async def test_promtool_finds_nothing_to_say(require_tool: Callable[[bool, str], None]) -> None:
    require_tool(PROMTOOL is not None, "promtool (apt install prometheus)")
    bench = await Workbench().start()
    await bench.client()
    text = text_of(bench.service)
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
