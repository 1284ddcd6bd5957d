import gzip

import pytest
from aiohttp.test_utils import make_mocked_request

from wsserver.web.asset import Asset

TEXT = b"to be or not to be, " * 50
ASSET = Asset.of("text/plain", TEXT)


def answer(asset: Asset = ASSET, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asset.answer(make_mocked_request("GET", "/x", headers=named), {"X-Own": "kept"})


def test_a_tag_belongs_to_the_bytes():
    assert Asset.of("a", b"1").etag == Asset.of("b", b"1").etag != Asset.of("a", b"2").etag


def test_plain_bytes_for_who_takes_nothing_else():
    plain = answer()
    assert (plain.status, plain.body, plain.headers["X-Own"]) == (200, TEXT, "kept")
    assert plain.headers["ETag"] == f'"{ASSET.etag}"'
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "GZIP", "deflate , gzip ; q=1"])
def test_packed_for_who_takes_it(accepted: str):
    packed = answer(Accept_Encoding=accepted)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == TEXT
    assert len(packed.body) < len(TEXT)
    assert packed.headers["ETag"] == f'"{ASSET.etag}-gzip"'


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip"])
def test_not_for_who_does_not(accepted: str):
    assert answer(Accept_Encoding=accepted).body == TEXT


def test_what_does_not_become_shorter_is_not_packed():
    tiny = answer(Asset.of("text/plain", b"x"), Accept_Encoding="gzip")
    assert tiny.body == b"x"
    assert "Vary" not in tiny.headers


def test_it_is_the_same_bytes_at_each_start():
    assert Asset.of("a", TEXT) == ASSET._replace(content_type="a")


@pytest.mark.parametrize(("accepted", "end"), [("gzip", "-gzip"), ("", "")])
def test_what_the_browser_has_is_not_sent_again(accepted: str, end: str):
    tag = f'"{ASSET.etag}{end}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        kept = answer(Accept_Encoding=accepted, If_None_Match=known)
        assert (kept.status, kept.body) == (304, None), known
        assert (kept.headers["ETag"], kept.headers["X-Own"]) == (tag, "kept")
    other = "" if end else "-gzip"
    for unknown in ('"other"', f'"{ASSET.etag}{other}"', tag.strip('"')):
        assert answer(Accept_Encoding=accepted, If_None_Match=unknown).status == 200, unknown
