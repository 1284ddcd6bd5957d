"""The kernel's limits, as a machine of files tells them."""

import resource
import socket
from pathlib import Path

import pytest
from workbench import settings_with

from wsserver.doctor.finding import Finding
from wsserver.doctor.machine import PAGE, examine_machine, examine_port, needed_descriptors
from wsserver.settings import Settings

GOOD = {
    "fs/file-max": "9223372036854775807",
    "net/core/somaxconn": "4096",
    "net/ipv4/tcp_mem": f"1 2 {2**40 // PAGE}",
    "net/ipv4/ip_local_port_range": "32768\t60999",
}


def examined(
    root: Path,
    settings: Settings | None = None,
    *,
    hard: int = resource.RLIM_INFINITY,
    granted: int = 1 << 30,
    **files: str | None,
) -> dict[str, Finding]:
    for name, text in {**GOOD, **{key.replace("__", "/"): text for key, text in files.items()}}.items():
        path = root / "proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(f"{text}\n")
    found = examine_machine(
        settings or Settings(), root=root, limits=lambda: (1024, hard), granted=lambda wanted: granted
    )
    return {one.check: one for one in found}


def test_a_good_machine_has_nothing_wrong(tmp_path: Path) -> None:
    found = examined(tmp_path)
    assert {one.level for one in found.values()} == {"ok"}
    assert list(found) == [
        "descriptors", "open_files", "accept_queue", "tcp_memory", "local_ports", "send_buffer",
    ]  # fmt: skip


def test_what_cannot_be_read_is_not_called_good(tmp_path: Path) -> None:
    found = examined(tmp_path, **{name.replace("/", "__"): None for name in GOOD})
    assert [name for name, one in found.items() if one.level == "skipped"] == [
        "open_files", "accept_queue", "tcp_memory", "local_ports",
    ]  # fmt: skip
    assert examined(tmp_path, net__core__somaxconn="many")["accept_queue"].level == "skipped"


def test_descriptors_are_needed_for_all_there_may_be(tmp_path: Path) -> None:
    needed = needed_descriptors(Settings())
    assert needed == 11_256
    assert examined(tmp_path, hard=needed)["descriptors"].level == "ok"
    few = examined(tmp_path, hard=needed - 1)["descriptors"]
    assert few.level == "fault"
    assert few.remedy is not None
    assert f"LimitNOFILE={needed}" in few.remedy


@pytest.mark.parametrize(
    ("check", "file", "enough", "short"),
    [
        ("open_files", "fs__file-max", "22512", "22511"),
        ("accept_queue", "net__core__somaxconn", "4096", "4095"),
        (
            "tcp_memory",
            "net__ipv4__tcp_mem",
            f"1 2 {10_000 * 2 * 131_072 // PAGE}",
            f"1 2 {10_000 * 2 * 131_072 // PAGE - 1}",
        ),
        ("local_ports", "net__ipv4__ip_local_port_range", "8001 60999", "8000 60999"),
        ("local_ports", "net__ipv4__ip_local_port_range", "1024 7999", "1024 8000"),
    ],
)
def test_what_is_short_is_warned_of_with_what_to_do(
    tmp_path: Path, check: str, file: str, enough: str, short: str
) -> None:
    assert examined(tmp_path, **{file: enough})[check].level == "ok"
    found = examined(tmp_path, **{file: short})[check]
    assert found.level == "warning"
    assert found.remedy


def test_a_proxy_next_door_needs_a_port_for_each_connection(tmp_path: Path) -> None:
    for proxies, level in ((("127.0.0.1",), "warning"), (("127.0.0.0/8",), "warning"), (("10.0.0.1",), "ok")):
        settings = settings_with(server={"trusted_proxies": proxies}, connection={"max_connections": 28_233})
        assert examined(tmp_path, settings)["local_ports"].level == level, proxies
    settings = settings_with(
        server={"trusted_proxies": ("127.0.0.1",)}, connection={"max_connections": 28_232}
    )
    assert examined(tmp_path, settings)["local_ports"].level == "ok"


def test_sockets_should_get_the_buffer_of_the_settings(tmp_path: Path) -> None:
    assert examined(tmp_path, granted=131_072)["send_buffer"].level == "ok"
    assert examined(tmp_path, granted=131_071)["send_buffer"].level == "warning"
    none = examined(tmp_path, settings_with(backpressure={"send_buffer": 0}))["send_buffer"]
    assert (none.level, "4 MiB" in none.text) == ("warning", True)


def test_this_machine_can_be_looked_at() -> None:
    found = list(examine_machine(settings_with(backpressure={"send_buffer": 65_536})))
    assert len(found) == 6
    assert found[5].level == "ok"


def settings_for(host: str, port: int) -> Settings:
    return settings_with(server={"host": host, "port": port})


def test_a_free_port_is_free_and_a_taken_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked: list[tuple[str, int]] = []
        found = examine_port(settings_for("127.0.0.1", port), lambda *who: bool(asked.append(who)))
        assert found.level == "fault"
        assert asked == [("127.0.0.1", port)]
        ours = examine_port(settings_for("127.0.0.1", port), lambda *who: True)
        assert (ours.level, "answers /health" in ours.text) == ("ok", True)
    assert examine_port(settings_for("127.0.0.1", port), lambda *who: False).level == "ok"
    assert "any free port" in examine_port(settings_for("127.0.0.1", 0), lambda *who: False).text


@pytest.mark.parametrize(
    ("host", "text"), [("192.0.2.1", "no address of this machine"), ("a..b", "no address of any kind")]
)
def test_an_address_of_somebody_else_is_a_fault(host: str, text: str) -> None:
    found = examine_port(settings_for(host, 8000), lambda *who: False)
    assert found.level == "fault"
    assert text in found.text
