import hashlib
from base64 import urlsafe_b64decode

import pytest
from operator_accounts import HASHES, OPERATOR_PASSWORD, VIEWER_PASSWORD

from wsserver.operators.password_hash import PasswordHash
from wsserver.settings.operators import HASH_SHAPE


def test_a_hash_fits_its_password_alone() -> None:
    known = PasswordHash.parse(HASHES["olga"])
    assert known.fits(OPERATOR_PASSWORD)
    for other in ("", VIEWER_PASSWORD, OPERATOR_PASSWORD + " ", OPERATOR_PASSWORD[:-1], "\ud800"):
        assert not known.fits(other)


def test_it_is_scrypt_as_everybody_computes_it() -> None:
    *_, salt, digest = HASHES["olga"].split(":")
    raw_salt, password = urlsafe_b64decode(salt + "=="), OPERATOR_PASSWORD.encode()
    raw = hashlib.scrypt(password, salt=raw_salt, n=2**14, r=8, p=1, maxmem=2**26, dklen=32)
    assert raw == urlsafe_b64decode(digest + "=")


def test_a_new_hash_has_the_usual_cost_and_salt_of_its_own() -> None:
    first, second = PasswordHash.of("a-new-password"), PasswordHash.of("a-new-password")
    assert first.text.startswith("scrypt:15:8:3:")
    assert HASH_SHAPE.fullmatch(first.text)
    assert first.text != second.text
    assert PasswordHash.parse(first.text).text == first.text
    assert first.fits("a-new-password")


def test_the_hash_of_nobody_costs_what_the_slowest_costs_and_fits_nothing() -> None:
    quick = PasswordHash.parse(HASHES["olga"])
    slow = PasswordHash(14, 8, 5, quick.salt, quick.digest)
    nobody = PasswordHash.of_nobody([quick, slow])
    assert (nobody.log2_n, nobody.r, nobody.p) == (14, 8, 5)
    assert (PasswordHash.of_nobody([]).log2_n, PasswordHash.of_nobody([]).p) == (15, 3)
    assert not nobody.fits(OPERATOR_PASSWORD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        OPERATOR_PASSWORD,
        HASHES["olga"] + "\n",
        HASHES["olga"][:-1],
        HASHES["olga"].replace("scrypt", "bcrypt"),
        HASHES["olga"].replace(":14:", ":13:"),
        HASHES["olga"].replace(":14:", ":19:"),
        HASHES["olga"].replace(":8:1:", ":8:9:"),
        HASHES["olga"].replace(":8:1:", ":16:1:"),
        HASHES["olga"].replace("Z", "+"),
        "$2b$12$abcdefghijklmnopqrstuv",
    ],
)
def test_what_is_no_hash_of_ours_or_a_weak_or_a_heavy_one_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no password hash$"):
        PasswordHash.parse(text)


def test_no_hash_is_shown_by_accident() -> None:
    known = PasswordHash.parse(HASHES["olga"])
    assert str(known.digest) not in repr(known)
    assert known.text not in repr(known)
