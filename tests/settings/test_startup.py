import msgspec
import pytest

from wsserver.settings import ServerSettings, Settings, StoreSettings
from wsserver.settings.catalogue import SETTINGS
from wsserver.settings.startup import STARTUP_ONLY, restart_needed


def test_every_name_is_a_setting() -> None:
    assert set(STARTUP_ONLY) <= set(SETTINGS)


def test_the_same_settings_need_no_restart() -> None:
    assert restart_needed(Settings(), Settings()) == []


def test_a_limit_needs_no_restart() -> None:
    connection = msgspec.structs.replace(Settings().connection, max_connections=5)
    assert restart_needed(Settings(), Settings(connection=connection)) == []


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        (Settings(server=ServerSettings(port=1)), ["server.port"]),
        (Settings(server=ServerSettings(host="::1", tls_key="k")), ["server.host", "server.tls_key"]),
        (Settings(store=StoreSettings(url="memory:x")), ["store.url"]),
    ],
)
def test_what_the_socket_and_the_store_are_made_of_needs_one(changed: Settings, keys: list[str]) -> None:
    assert restart_needed(Settings(), changed) == keys
