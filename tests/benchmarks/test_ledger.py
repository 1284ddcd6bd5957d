"""The ledger finds what came since it was opened, and whose it is."""

import sys
from collections.abc import Iterator

import pytest

ROOM = 1_000


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(request.config.rootpath))
    from benchmarks.accounting.ledger import Ledger

    opened = Ledger()
    yield opened
    opened.close()


class Shelf:
    def __init__(self) -> None:
        self.books: dict[str, Book] = {}


class Book:
    __slots__ = ("title", "year")

    def __init__(self, number: int) -> None:
        self.title = f"the title of a book, volume {number:06}"
        self.year = 10_000 + number


SHELF = Shelf()


@pytest.fixture(autouse=True)
def empty_shelf() -> Iterator[None]:
    SHELF.books = {"first": Book(0)}
    yield
    SHELF.books.clear()


def test_objects_text_and_numbers_are_told_apart_and_counted_as_allocators_give_them_out(ledger) -> None:
    for number in range(ROOM):
        SHELF.books[str(number)] = Book(number)
    entries = ledger.entries()
    assert entries["Book"] == ROOM * 48  # 16 of the collector, 16 of the object, two attributes
    assert entries["Book.title"] == ROOM * 96
    assert entries["Book.year"] == ROOM * 32


def test_a_table_that_was_there_has_grown(ledger) -> None:
    before = sys.getsizeof(SHELF.books)
    for number in range(ROOM):
        SHELF.books[str(number)] = SHELF.books["first"]
    assert ledger.entries()["table Shelf.books"] == sys.getsizeof(SHELF.books) - before > ROOM * 16


def test_what_was_there_before_and_what_is_gone_is_not_in_it(ledger) -> None:
    for number in range(ROOM):
        SHELF.books[str(number)] = Book(number)
    for number in range(ROOM):
        del SHELF.books[str(number)]
    assert "Book" not in ledger.entries()


def test_owners_have_names_and_what_has_none_is_shown_too(ledger) -> None:
    from benchmarks.accounting.owners import METADATA, OTHERS, SESSION, by_owner

    entries = {"ConnectionMetadata": 208, "tuple Session.cursor": 64, "Session": 176, "Book": 48}
    assert by_owner(entries) == {METADATA: 208, SESSION: 240, OTHERS: 48}


def test_sizes_are_those_that_are_given_out(ledger) -> None:
    from benchmarks.accounting.ledger import taken

    assert [taken(size) for size in (1, 16, 17, 512)] == [16, 16, 32, 512]
    assert [taken(size) for size in (513, 520, 521)] == [528, 528, 544]
