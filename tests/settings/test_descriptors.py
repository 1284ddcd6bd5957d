import errno
import resource

import pytest

from wsserver.settings import RoleSettings, load_settings
from wsserver.settings.descriptors import (
    RESERVE,
    TooFewDescriptorsError,
    fit_descriptors,
    raise_descriptor_limit,
)
from wsserver.settings.loading import Loaded

UNLIMITED = resource.RLIM_INFINITY


class Kernel:
    """Limits as getrlimit and setrlimit know them; `most` is what it allows at all (nr_open)."""

    def __init__(self, soft: int, hard: int, most: int = 1 << 20) -> None:
        self.soft, self.hard, self.most = soft, hard, most

    def read(self, _which: int) -> tuple[int, int]:
        return self.soft, self.hard

    def write(self, _which: int, limits: tuple[int, int]) -> None:
        soft, hard = limits
        if soft == UNLIMITED or soft > self.most:
            raise OSError(errno.EPERM, "not permitted")
        if hard != UNLIMITED and soft > hard:
            raise ValueError("current limit exceeds maximum limit")
        self.soft = soft


def raised(kernel: Kernel, needed: int) -> int:
    return raise_descriptor_limit(needed, kernel.read, kernel.write)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    kernel = Kernel(1024, 50_000)
    assert raised(kernel, 2000) == 50_000
    assert kernel.soft == 50_000


def test_a_hard_limit_that_is_too_low_is_all_there_is() -> None:
    assert raised(Kernel(1024, 4096), 10_000) == 4096


def test_under_an_unlimited_hard_limit_the_soft_one_becomes_what_is_needed() -> None:
    kernel = Kernel(1024, UNLIMITED)
    assert raised(kernel, 10_000) == 10_000
    assert kernel.soft == 10_000


def test_a_soft_limit_is_never_lowered() -> None:
    assert raised(Kernel(20_000, UNLIMITED), 10_000) == 20_000
    assert raised(Kernel(UNLIMITED, UNLIMITED), 10_000) == 10_000


def test_what_the_kernel_refuses_leaves_the_limit_as_it_was() -> None:
    assert raised(Kernel(1024, UNLIMITED, most=2048), 10_000) == 1024


def test_this_process_can_ask_for_what_it_has() -> None:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_descriptor_limit(1) >= 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.fixture
def loaded() -> Loaded:
    overrides = {"connection.max_connections": 1000, "connection.max_per_ip": 800}
    return load_settings(None, {}, overrides, dev=True)


def test_enough_descriptors_change_nothing(loaded: Loaded) -> None:
    assert fit_descriptors(loaded, dev=False, limit=lambda needed: needed) is loaded


def test_the_reserve_is_counted_in(loaded: Loaded) -> None:
    asked: list[int] = []
    fit_descriptors(loaded, dev=False, limit=lambda needed: asked.append(needed) or needed)
    assert asked == [1000 + 1000 + RESERVE]


def test_production_refuses_too_few_descriptors(loaded: Loaded) -> None:
    with pytest.raises(
        TooFewDescriptorsError, match=rf"needs {2000 + RESERVE} .* may open 1900.*to {900 - RESERVE}"
    ):
        fit_descriptors(loaded, dev=False, limit=lambda _needed: 1900)


def test_dev_lowers_every_limit_on_connections_and_says_so(loaded: Loaded) -> None:
    lowered = fit_descriptors(loaded, dev=True, limit=lambda _needed: RESERVE + 50)
    connection = lowered.settings.connection
    assert (connection.max_connections, connection.max_connections_per_user) == (45, 10)
    assert (connection.max_connections_per_role, connection.max_per_ip) == (45, 45)
    assert connection.max_unauthenticated == 5
    assert lowered.warnings[-1].startswith("connection.max_connections is lowered to 45")
    assert lowered.settings.server == loaded.settings.server


def test_dev_lowers_a_table_of_roles() -> None:
    overrides = {
        "connection.max_connections_per_role": {"a": 5, "b": 500},
        "access.roles": {"a": {}, "b": {}},
    }
    loaded = load_settings(None, {}, overrides, dev=True)
    lowered = fit_descriptors(loaded, dev=True, limit=lambda _needed: RESERVE + 50)
    assert lowered.settings.connection.max_connections_per_role == {"a": 5, "b": 45}
    assert lowered.settings.access.roles["a"] == RoleSettings()


def test_dev_refuses_where_not_one_connection_would_be_left(loaded: Loaded) -> None:
    with pytest.raises(TooFewDescriptorsError):
        fit_descriptors(loaded, dev=True, limit=lambda _needed: RESERVE)
