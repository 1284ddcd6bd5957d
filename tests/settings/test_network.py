import pytest

from wsserver.settings.network import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_this_machines_own_addresses_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "ward.example", "localhost.evil.example", "127.1", ""]
)
def test_any_other_address_or_name_is_not_this_machines_own(host: str) -> None:
    assert not is_loopback(host)
