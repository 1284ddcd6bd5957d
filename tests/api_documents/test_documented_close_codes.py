"""What clients do on the close codes, as the protocol's document and the client itself have it."""

import pytest
from docs.documents import DOCS, bare, table

from wsserver.api_documents.close_codes import MEANINGS, reaction
from wsserver.errors import CloseCode

ROWS = {int(row[0]): row for row in table(DOCS / "protocol.md", "close code", "name")}


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(CloseCode) == set(ROWS)


@pytest.mark.parametrize("code", CloseCode)
def test_the_reaction_is_that_of_the_protocol(code: CloseCode) -> None:
    told = ROWS[code][3]
    assert bare(ROWS[code][1]) == code.name
    assert reaction(code).split("_")[0] == told.split()[0].rstrip(";:,"), told
    # 4020 has its own time to wait, in `system_shutdown`, and is of the band that comes back at once.
    assert (reaction(code) == "reconnect_after") is ("after `retry_after_ms`" in told)
