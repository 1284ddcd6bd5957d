import pytest
from yarl import URL

from wsserver.cli.remote import http_url, websocket_url


@pytest.mark.parametrize("server", ["http://h:1", "ws://h:1", "http://h:1/"])
def test_one_address_serves_both_protocols(server: str) -> None:
    url = URL(server)
    assert str(http_url(url, "ws", "broadcast", "all")) == "http://h:1/ws/broadcast/all"
    assert str(websocket_url(url)) == "ws://h:1/ws/connect"


def test_tls_stays_tls() -> None:
    assert http_url(URL("wss://h"), "x").scheme == "https"
    assert websocket_url(URL("https://h")).scheme == "wss"


def test_a_path_in_front_of_the_server_is_kept() -> None:
    assert str(http_url(URL("https://h/ward"), "ws", "metrics")) == "https://h/ward/ws/metrics"
    assert str(websocket_url(URL("https://h/ward"))) == "wss://h/ward/ws/connect"
    assert str(websocket_url(URL("ws://h/ws/connect"))) == "ws://h/ws/connect"
