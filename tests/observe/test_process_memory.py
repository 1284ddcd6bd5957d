"""Memory against the tightest limit: files as Linux has them, under a root of the test's own."""

from pathlib import Path

import pytest
from fake_clock import FakeClock

from wsserver.observe.process_memory import LIMITS_AGE, MemoryUsage, ProcessMemory

MIB = 1 << 20
V2_MOUNT = "29 23 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1_MOUNT = "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"


class Machine:
    """A machine of 1000 MiB whose process has 100 MiB."""

    def __init__(self, root: Path) -> None:
        self.root, self.clock, self.rss = root, FakeClock(), 100 * MIB

    def write(self, path: str, text: str | int) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def v2(self, path: str, limit: int | str, current: int = 0, inactive: int = 0) -> None:
        self.write(f"sys/fs/cgroup{path}/memory.max", limit)
        self.write(f"sys/fs/cgroup{path}/memory.current", current)
        self.write(f"sys/fs/cgroup{path}/memory.stat", f"anon 5\ninactive_file {inactive}\nactive_file 1")

    def v1(self, path: str, limit: int, usage: int = 0, inactive: int = 0) -> None:
        base = f"sys/fs/cgroup/memory{path}"
        self.write(f"{base}/memory.limit_in_bytes", limit)
        self.write(f"{base}/memory.usage_in_bytes", usage)
        self.write(f"{base}/memory.stat", f"inactive_file 7\ntotal_inactive_file {inactive}")

    def inside(self, cgroup: str, mountinfo: str) -> None:
        self.write("proc/self/cgroup", cgroup)
        self.write("proc/self/mountinfo", mountinfo)

    def memory(self, limit: int | None = None) -> ProcessMemory:
        return ProcessMemory(
            self.clock, limit=limit, root=self.root, rss=lambda: self.rss, total=lambda: 1000 * MIB
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_groups_it_is_the_process_of_the_machine(machine):
    usage = machine.memory().usage()
    assert usage == MemoryUsage(100 * MIB, 1000 * MIB)
    assert usage.percent == 10


def test_a_setting_goes_before_everything(machine):
    machine.inside("0::/", V2_MOUNT.format(root="/"))
    machine.v2("", 150 * MIB, 149 * MIB)
    assert machine.memory(200 * MIB).usage() == MemoryUsage(100 * MIB, 200 * MIB)


def test_a_container_counts_what_the_kernel_holds_against_it(machine):
    machine.inside("0::/", V2_MOUNT.format(root="/"))
    # 60 MiB of socket buffers, which are nobody's pages, and a cache that can be taken back.
    machine.v2("", 200 * MIB, 200 * MIB, inactive=40 * MIB)
    assert machine.memory().usage() == MemoryUsage(160 * MIB, 200 * MIB)


def test_the_process_counts_where_it_is_more(machine):
    machine.inside("0::/", V2_MOUNT.format(root="/"))
    machine.v2("", 200 * MIB, 50 * MIB)
    assert machine.memory().usage() == MemoryUsage(100 * MIB, 200 * MIB)


def test_the_tightest_of_the_groups_around_it_counts(machine):
    machine.inside("0::/ward/app", V2_MOUNT.format(root="/"))
    machine.v2("/ward/app", "max")
    machine.v2("/ward", 400 * MIB, 390 * MIB)
    machine.v2("", 900 * MIB, 500 * MIB)
    assert machine.memory().usage() == MemoryUsage(390 * MIB, 400 * MIB)


def test_without_a_namespace_the_mount_shows_the_container_as_its_root(machine):
    machine.inside("0::/docker/abc/app", V2_MOUNT.format(root="/docker/abc"))
    machine.v2("/app", 250 * MIB)
    assert machine.memory().usage().limit == 250 * MIB


def test_a_path_that_leads_out_of_the_namespace_is_the_mount(machine):
    machine.inside("0::/../other", V2_MOUNT.format(root="/"))
    machine.v2("", 250 * MIB)
    assert machine.memory().usage().limit == 250 * MIB


def test_a_group_that_is_not_mounted_leaves_those_that_are(machine):
    machine.inside("0::/not/here", V2_MOUNT.format(root="/"))
    machine.v2("", 250 * MIB)
    assert machine.memory().usage().limit == 250 * MIB


def test_the_older_groups_are_read_as_well(machine):
    machine.inside("4:cpu:/x\n3:memory:/docker/a\n0::/", V1_MOUNT.format(root="/docker/a"))
    machine.v1("", 300 * MIB, 280 * MIB, inactive=30 * MIB)
    assert machine.memory().usage() == MemoryUsage(250 * MIB, 300 * MIB)


def test_no_limit_is_no_limit(machine):
    machine.inside("3:memory:/\n0::/", V1_MOUNT.format(root="/"))
    machine.v1("", 9223372036854771712, 500 * MIB)
    assert machine.memory().usage().limit == 1000 * MIB


@pytest.mark.parametrize("text", ["", "nonsense", "0::", "a:b", "::::", "0::/\x00"])
def test_files_that_cannot_be_understood_are_no_limit(machine, text):
    machine.inside(text, text + "\n" + V2_MOUNT.format(root="/"))
    machine.write("sys/fs/cgroup/memory.max", "nonsense")
    assert machine.memory().usage().limit == 1000 * MIB


def test_limits_are_read_seldom_and_usage_always(machine):
    machine.inside("0::/", V2_MOUNT.format(root="/"))
    machine.v2("", 200 * MIB, 120 * MIB)
    memory = machine.memory()
    assert memory.usage() == MemoryUsage(120 * MIB, 200 * MIB)
    machine.v2("", 160 * MIB, 130 * MIB)
    assert memory.usage() == MemoryUsage(130 * MIB, 200 * MIB)
    machine.clock.advance(LIMITS_AGE)
    assert memory.usage() == MemoryUsage(130 * MIB, 160 * MIB)


def test_a_group_whose_usage_cannot_be_read_leaves_the_process(machine):
    machine.inside("0::/", V2_MOUNT.format(root="/"))
    machine.v2("", 200 * MIB, 120 * MIB)
    memory = machine.memory()
    memory.usage()
    (machine.root / "sys/fs/cgroup/memory.current").unlink()
    assert memory.usage() == MemoryUsage(100 * MIB, 200 * MIB)


def test_this_machine_has_an_answer():
    usage = ProcessMemory(FakeClock()).usage()
    assert 0 < usage.used < usage.limit
