"""Losses that a client may not have heard of: it is told of them when it comes back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from wsserver.protocol.control import Gap

MAX_OWED: Final = 64
"""Losses that are remembered one by one for one client; the oldest beyond it are summed up."""

Proof = tuple[int | None, int | None]
"""For each log a ``seq``: a cursor beyond one of them proves something. None proves nothing."""

NO_PROOF: Final[Proof] = (None, None)


class Owed(NamedTuple):
    """A loss that a client is told of once more, unless it turns out to have heard of it."""

    gap: Gap
    heard_beyond: Proof

    def was_heard(self, cursor: Sequence[int]) -> bool:
        """Whether a client with this cursor has heard of it: it has handled what was sent later."""
        return any(
            beyond is not None and seq > beyond for seq, beyond in zip(cursor, self.heard_beyond, strict=True)
        )


class OwedGaps:
    """The losses of one client that it may not have heard of. Few clients have any."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[Owed] = ()) -> None:
        self._entries = list(entries)

    def __iter__(self) -> Iterator[Owed]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Owed) -> None:
        """Remember one more."""
        self._entries.append(entry)
        if len(self._entries) > MAX_OWED:
            older, self._entries = self._entries[: MAX_OWED // 2], self._entries[MAX_OWED // 2 :]
            by_log: dict[str, list[Owed]] = {}
            for one in older:
                by_log.setdefault(one.gap.log, []).append(one)
            self._entries[:0] = map(_sum, by_log.values())


def _sum(entries: list[Owed]) -> Owed:
    """One gap over all of them, heard of when the last of them was."""
    gaps = [one.gap for one in entries]
    reasons = {gap.reason for gap in gaps}
    durable, volatile = zip(*(one.heard_beyond for one in entries), strict=True)
    return Owed(
        Gap(
            log=gaps[0].log,
            from_=min(gap.from_ or 0 for gap in gaps),
            to=max(gap.to or 0 for gap in gaps),
            reason=reasons.pop() if len(reasons) == 1 else "slow",
        ),
        (_latest(durable), _latest(volatile)),
    )


def _latest(proofs: Sequence[int | None]) -> int | None:
    known = [seq for seq in proofs if seq is not None]
    return max(known) if len(known) == len(proofs) else None
