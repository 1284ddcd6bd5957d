import io
import json
import tarfile
from pathlib import Path

import pytest

import wsserver
from wsserver.web.client_files import CLIENT_FILES, client_package, content_type_of

SOURCE = Path(wsserver.__file__).parent / "client" / "js"


def unpacked() -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(client_package().body), mode="r:gz") as archive:
        return [(entry, archive.extractfile(entry).read()) for entry in archive]


def test_every_file_of_the_client_is_there_as_it_is():
    on_disk = {path.name: path.read_bytes() for path in SOURCE.iterdir() if path.is_file()}
    assert {name: file.body for name, file in CLIENT_FILES.items()} == on_disk
    assert {"envelope.js", "package.json"} <= set(on_disk)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("index.js", "text/javascript; charset=utf-8"),
        ("websocket-reconnect.service.js", "text/javascript; charset=utf-8"),
        ("index.d.ts", "text/plain; charset=utf-8"),
        ("package.json", "application/json"),
        ("README.md", "text/markdown; charset=utf-8"),
        ("LICENSE", "text/plain; charset=utf-8"),
        (".npmrc", None),
        (".js", None),
        ("index.js.orig", None),
        ("index.js~", None),
        ("__init__.py", None),
        ("index.", None),
    ],
)
def test_the_content_type_goes_by_the_ending(name: str, content_type: str | None):
    assert content_type_of(name) == content_type


def test_the_files_have_the_type_of_their_name():
    assert all(file.content_type == content_type_of(name) for name, file in CLIENT_FILES.items())


def test_every_file_has_a_tag_of_its_own():
    assert len({file.etag for file in CLIENT_FILES.values()}) == len(CLIENT_FILES)


def test_the_package_holds_the_files_under_the_folder_that_npm_expects():
    entries = unpacked()
    assert {entry.name: body for entry, body in entries} == {
        f"package/{name}": file.body for name, file in CLIENT_FILES.items()
    }
    for entry, _ in entries:
        assert entry.isreg()
        assert entry.mode == 0o644


def test_the_package_is_the_same_bytes_whoever_makes_it_and_when(monkeypatch: pytest.MonkeyPatch):
    before = client_package()
    assert client_package() is before
    client_package.cache_clear()
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert client_package() == before
    for entry, _ in unpacked():
        assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", "")
        assert entry.mtime == 499_162_500
    names = [entry.name for entry, _ in unpacked()]
    assert names == sorted(names)
    # The time in gzip's own header (RFC 1952 section 2.3).
    assert before.body[4:8] == bytes(4)


def test_the_package_has_the_version_of_the_server():
    assert json.loads(CLIENT_FILES["package.json"].body)["version"] == wsserver.__version__


def test_the_licence_of_the_package_is_the_projects():
    assert CLIENT_FILES["LICENSE"].body == (Path(__file__).parents[2] / "LICENSE").read_bytes()
