"""settings.md says what the code says, setting by setting."""

import tomllib

import msgspec
import pytest
import settings_table
from documents import DOCS, blocks

from wsserver.settings import Settings, find_contradictions, load_settings
from wsserver.settings.catalogue import SECTIONS

SETTINGS_DOCUMENT = DOCS / "settings.md"
HINT = "python tests/docs/settings_table.py prints what belongs there"


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_has_its_settings_units_defaults_and_meanings(section):
    meaning, lines = settings_table.section_meaning(section), settings_table.section_lines(section)
    assert "\n".join([f"### {section}", "", meaning, "", *lines, ""]) in SETTINGS_DOCUMENT.read_text(), HINT


def test_no_setting_is_described_that_does_not_exist():
    described = [
        line.split("`")[1]
        for line in SETTINGS_DOCUMENT.read_text().splitlines()
        if line.startswith("| `") and "." in line.split("`")[1]
    ]
    assert described == list(settings_table.SETTINGS), HINT


def test_every_setting_has_a_meaning_in_the_code():
    for section in SECTIONS:
        for key, _, _, meaning in settings_table.section_rows(section):
            assert meaning.endswith((".", "`.")), key


def test_the_rights_and_the_example_policy_are_those_of_the_code():
    text = SETTINGS_DOCUMENT.read_text()
    for line in (*settings_table.right_lines(), *settings_table.role_lines()):
        assert line in text, HINT


def test_the_example_file_is_one_that_the_server_takes(tmp_path):
    (example,) = blocks(SETTINGS_DOCUMENT, "toml")
    text = example.text.replace("/etc/wsserver", str(tmp_path))
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).write_text("")
    file = tmp_path / "wsserver.toml"
    file.write_text(text)
    loaded = load_settings(file, {})
    assert find_contradictions(loaded.settings) == []
    assert loaded.origins["auth.jwks_url"] == "file"


def test_the_example_file_names_only_settings_that_exist():
    (example,) = blocks(SETTINGS_DOCUMENT, "toml")
    document = tomllib.loads(example.text)
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for section, members in document.items():
        assert set(members) <= {field.name for field in msgspec.structs.fields(sections[section])}
