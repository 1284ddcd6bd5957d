import asyncio
import logging
from typing import Any

import pytest

from wsserver.access.claims import Claims
from wsserver.access.provider import MAX_PATIENTS, NOBODY, CachedAccessProvider, TokenAccessProvider
from wsserver.access.roles import RolePolicy


class Directory:
    """A backend's provider: answers with ``answer``, raises it if it is an exception, waits at ``gate``."""

    def __init__(self, answer: Any = frozenset({"1"})) -> None:
        self.answer = answer
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[str, str]] = []
        self.at_once = 0
        self.most_at_once = 0

    async def patients(self, user_id: str, role: str, claims: Claims) -> Any:
        self.asked.append((user_id, role))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.at_once -= 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def cached(directory: Directory, clock: Any) -> CachedAccessProvider:
    return CachedAccessProvider(directory, clock)


async def ask(provider: Any, claims: Claims) -> Any:
    return await provider.patients(claims.user_id, claims.role, claims)


@pytest.mark.parametrize(
    ("role", "claim", "patients"),
    [
        ("doctor", None, NOBODY),
        ("doctor", "*", "*"),
        ("doctor", frozenset({"1"}), {"1"}),
        ("chief", None, "*"),
        ("chief", frozenset({"1"}), {"1"}),
        ("chief", frozenset(), NOBODY),
        ("nobody knows", None, NOBODY),
    ],
)
async def test_the_token_decides_and_the_role_only_where_it_is_silent(
    make_access: Any, make_claims: Any, role: str, claim: Any, patients: Any
) -> None:
    provider = TokenAccessProvider(RolePolicy(make_access()))
    assert await ask(provider, make_claims(role=role, patients=claim)) == patients


@pytest.mark.parametrize(
    ("answer", "patients"),
    [
        (None, NOBODY),
        ([], NOBODY),
        ("*", "*"),
        (["1", 2], {"1", "2"}),
        ({"a": 1}, {"a"}),
        (frozenset({"1"}), {"1"}),
    ],
)
async def test_an_answer_comes_back_in_canonical_form(
    directory: Directory, cached: Any, make_claims: Any, answer: Any, patients: Any
) -> None:
    directory.answer = answer
    assert await ask(cached, make_claims()) == patients
    assert cached.failures == 0


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("patient-canary"),
        TimeoutError(),
        "123",
        b"123",
        "",
        7,
        True,
        ["1", "*"],
        ["1", None],
        ["a b"],
        [["1"]],
        range(MAX_PATIENTS + 1),
        (item for item in ["1"]),
    ],
    ids=lambda answer: type(answer).__name__,
)
async def test_a_failure_denies_and_is_counted_but_not_quoted(
    directory: Directory, cached: Any, make_claims: Any, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    directory.answer = answer
    with caplog.at_level(logging.DEBUG):
        assert await ask(cached, make_claims()) == NOBODY
    assert cached.failures == 1
    assert "The access provider failed" in caplog.text
    assert "canary" not in caplog.text


async def test_an_answer_that_does_not_come_denies(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    directory.gate = asyncio.Event()
    cached = CachedAccessProvider(directory, clock, timeout=0)
    assert await ask(cached, make_claims()) == NOBODY
    assert cached.failures == 1


async def test_an_answer_is_reused_for_its_time_and_no_longer(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0)
    assert await ask(cached, make_claims()) == {"1"}
    directory.answer = ["2"]
    clock.advance(0.99)
    assert await ask(cached, make_claims()) == {"1"}
    clock.advance(0.01)
    assert await ask(cached, make_claims()) == {"2"}
    assert len(directory.asked) == 2


async def test_the_time_of_an_answer_counts_from_the_question(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0)
    directory.gate = asyncio.Event()
    question = asyncio.create_task(ask(cached, make_claims()))
    while not directory.asked:
        await asyncio.sleep(0)
    clock.advance(1.0)
    directory.gate.set()
    await question
    await ask(cached, make_claims())
    assert len(directory.asked) == 2


async def test_a_failure_is_remembered_as_long_as_an_answer(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0)
    directory.answer = OSError()
    await ask(cached, make_claims())
    directory.answer = ["1"]
    assert await ask(cached, make_claims()) == NOBODY
    clock.advance(1.0)
    assert await ask(cached, make_claims()) == {"1"}


async def test_through_a_hiccup_the_last_answer_holds_but_not_for_ever(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0, grace=30.0)
    assert await ask(cached, make_claims()) == {"1"}
    directory.answer = OSError()
    for _ in range(29):
        clock.advance(1.0)
        assert await ask(cached, make_claims()) == {"1"}
    clock.advance(1.0)
    assert await ask(cached, make_claims()) == NOBODY
    directory.answer = ["2"]
    clock.advance(1.0)
    assert await ask(cached, make_claims()) == {"2"}


async def test_somebody_new_is_shown_nothing_during_an_outage(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock)
    await ask(cached, make_claims())
    directory.answer = OSError()
    assert await ask(cached, make_claims(user_id="somebody else")) == NOBODY


async def test_an_outage_is_complained_of_now_and_then_and_counted_each_time(
    directory: Directory, clock: Any, make_claims: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=0.0)
    directory.answer = OSError()
    for _ in range(50):
        clock.advance(0.5)
        await ask(cached, make_claims())
    assert cached.failures == 50
    assert len(caplog.records) == 3


@pytest.mark.parametrize("ttl", [-0.1, 1.01, 60, float("nan")])
def test_a_longer_memory_than_a_second_is_refused(directory: Directory, clock: Any, ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        CachedAccessProvider(directory, clock, ttl=ttl)


async def test_a_thousand_who_ask_at_once_for_one_user_share_one_question(
    directory: Directory, cached: Any, make_claims: Any
) -> None:
    answers = await asyncio.gather(*(ask(cached, make_claims()) for _ in range(1000)))
    assert answers == [{"1"}] * 1000
    assert len(directory.asked) == 1


async def test_users_roles_and_tokens_do_not_share_answers(
    directory: Directory, cached: Any, make_claims: Any
) -> None:
    for changes in ({}, {"user_id": "u2"}, {"role": "nurse"}, {"fingerprint": b"another token"}, {}):
        await ask(cached, make_claims(**changes))
    assert len(directory.asked) == 4


async def test_questions_at_once_are_bounded(directory: Directory, clock: Any, make_claims: Any) -> None:
    cached = CachedAccessProvider(directory, clock, max_concurrent=8)
    directory.gate = asyncio.Event()
    questions = [asyncio.create_task(ask(cached, make_claims(user_id=f"u{n}"))) for n in range(100)]
    while len(directory.asked) < 8:
        await asyncio.sleep(0)
    directory.gate.set()
    await asyncio.gather(*questions)
    assert directory.most_at_once == 8
    assert len(directory.asked) == 100


async def test_the_memory_is_bounded_and_lets_go_of_the_oldest(
    directory: Directory, clock: Any, make_claims: Any
) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0, max_entries=10)
    for number in range(11):
        await ask(cached, make_claims(user_id=f"u{number}"))
    await ask(cached, make_claims(user_id="u10"))
    assert len(directory.asked) == 11
    await ask(cached, make_claims(user_id="u0"))
    assert len(directory.asked) == 12


async def test_stale_answers_leave_the_memory(directory: Directory, clock: Any, make_claims: Any) -> None:
    cached = CachedAccessProvider(directory, clock, ttl=1.0, grace=30.0)
    for number in range(100):
        await ask(cached, make_claims(user_id=f"u{number}"))
    clock.advance(30.0)
    await ask(cached, make_claims(user_id="one more"))
    assert len(cached._answers) == 1
    assert not cached._flights


async def test_one_who_gives_up_does_not_stop_the_question_for_the_others(
    directory: Directory, cached: Any, make_claims: Any
) -> None:
    directory.gate = asyncio.Event()
    impatient = asyncio.create_task(ask(cached, make_claims()))
    patient = asyncio.create_task(ask(cached, make_claims()))
    while not directory.asked:
        await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    directory.gate.set()
    assert await patient == {"1"}
    assert len(directory.asked) == 1


async def test_closing_stops_the_questions_under_way(
    directory: Directory, cached: Any, make_claims: Any
) -> None:
    directory.gate = asyncio.Event()
    question = asyncio.create_task(ask(cached, make_claims()))
    while not directory.asked:
        await asyncio.sleep(0)
    await cached.close()
    with pytest.raises(asyncio.CancelledError):
        await question
    assert directory.at_once == 0


async def test_pruning_forgets_what_cannot_stand_in_any_more(directory, cached, clock, make_claims) -> None:
    await ask(cached, make_claims(user_id="u1"))
    clock.advance(20)
    await ask(cached, make_claims(user_id="u2"))
    assert cached.prune() == 0
    clock.advance(11)
    assert cached.prune() == 1
    clock.advance(30)
    assert cached.prune() == 1
    assert cached.prune() == 0
