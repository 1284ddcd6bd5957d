"""Addresses of stores."""

from pathlib import Path

import pytest

from wsserver.settings.store_url import BadStoreUrl, store_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("memory:", None),
        ("sqlite:///store.db", Path("store.db")),
        ("sqlite:///a/b.db", Path("a/b.db")),
        ("sqlite:////var/lib/store.db", Path("/var/lib/store.db")),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: Path | None) -> None:
    assert store_path(url) == path


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory:x", "sqlite:", "sqlite:///", "sqlite://store.db", "sqlite:///a/", "sqlite:///a?b",
     "sqlite:///\0", "SQLITE:///a", "redis://user:canary@h", "/var/lib/store.db"],
)  # fmt: skip
def test_anything_else_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadStoreUrl) as caught:
        store_path(url)
    assert "canary" not in str(caught.value)
