"""What each close code means for a client; the server's own table is asked as well."""

import pytest

from wsserver.client.close_codes import Verdict, verdict
from wsserver.errors import CloseCode

FINAL = {1000, 1002, 1003, 1007, 1009}


@pytest.mark.parametrize("code", range(1000, 1016))
def test_codes_of_the_rfc(code: int) -> None:
    assert (verdict(code) is Verdict.FINAL) == (code in FINAL)


@pytest.mark.parametrize("code", CloseCode, ids=lambda code: code.name)
def test_every_code_of_the_server_is_obeyed_by_its_band(code: CloseCode) -> None:
    expected = {
        CloseCode.AUTHENTICATION_EXPIRED: Verdict.NEW_TOKEN,
        CloseCode.AUTHENTICATION_FAILED: Verdict.OTHER_TOKEN,
    }
    by_band = Verdict.FINAL if code >= 4500 or code in FINAL else Verdict.RECONNECT
    assert verdict(code) is expected.get(code, by_band)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (3000, Verdict.RECONNECT),
        (4000, Verdict.RECONNECT),
        (4099, Verdict.RECONNECT),
        (4100, Verdict.RECONNECT),
        (4199, Verdict.RECONNECT),
        (4499, Verdict.RECONNECT),
        (4500, Verdict.FINAL),
        (4999, Verdict.FINAL),
    ],
)
def test_the_edges_of_the_bands(code: int, meaning: Verdict) -> None:
    assert verdict(code) is meaning
