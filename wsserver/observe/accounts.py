"""The sums of all delivery reports, and whether they agree with what the queues have counted."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from wsserver.observe.delivery_records import DeliveryRecord
from wsserver.protocol.report import Counts
from wsserver_core.hub import Hub

logger = logging.getLogger("wsserver.accounts")


class Accounts:
    """Adds up what broadcasts reported; the hub counts on its own what became of it.

    The two are kept in different places by different code, so a message that is lost without
    being counted, or counted twice, shows as a difference.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._open: Collection[str] = ()
        self.considered = 0
        """Subscriptions that messages were held against since the start; likewise the next two."""
        self.filtered = 0
        self.denied = 0
        self.matched = 0
        """Connections that messages were for."""
        self.delivered = 0
        """Those whose queue took the message."""
        self.refused: Counter[str] = Counter(slow=0, closing=0)
        """Those whose queue did not, by reason."""
        self.violations = 0
        """How many sums were found not to add up, each once for as long as it stays so."""

    @property
    def replayed(self) -> int:
        """Messages that were queued once more for connections that came back."""
        return self._hub.frames_replayed

    def note(self, report: Counts) -> None:
        """Add the numbers of a broadcast that has been queued."""
        self.considered += report.considered
        self.filtered += report.filtered
        self.denied += report.denied
        self.matched += report.matched
        self.delivered += report.delivered
        if report.refused:
            self.refused.update(report.refused)

    def get_metrics(self) -> dict[str, Any]:
        """The sums: matched = delivered + refused, and delivered + replayed = written + queued + dropped."""
        _, queued, written, dropped = self._hub.published_figures()
        return {
            "considered": self.considered,
            "filtered": self.filtered,
            "denied": self.denied,
            "matched": self.matched,
            "delivered": self.delivered,
            "refused": dict(self.refused),
            "replayed": self.replayed,
            "written": written,
            "queued": queued,
            "dropped": dropped,
            "violations": self.violations,
        }

    def check(self, records: Iterable[DeliveryRecord] = (), *, recount: bool = False) -> list[str]:
        """Every sum that does not add up, in words without ids.

        Each is logged and counted once for as long as it stays wrong.
        ``records`` are held against their own counts as well; ``recount`` walks all queues. Without
        them it takes a few microseconds.
        """
        found = dict(self._faults(records, recount))
        for identity, fault in found.items():
            if identity not in self._open:
                self.violations += 1
                logger.error("the accounts of delivery do not add up: %s", fault)
        self._open = found.keys()
        return list(found.values())

    def _faults(self, records: Iterable[DeliveryRecord], recount: bool) -> Iterator[tuple[str, str]]:
        """Each with a name that stays the same while its numbers change."""
        hub = self._hub
        taken, queued, written, dropped = hub.published_figures()
        refused, lost = self.refused.total(), sum(dropped.values())
        if self.matched != self.delivered + refused:
            yield "matched", f"matched {self.matched} != delivered {self.delivered} + refused {refused}"
        if taken != self.delivered + self.replayed:
            yield "taken", f"taken {taken} != delivered {self.delivered} + replayed {self.replayed}"
        if taken != written + queued + lost:
            yield "outcome", f"taken {taken} != written {written} + queued {queued} + dropped {lost}"
        if recount:
            counted = (hub.frames_queued, queued)
            if (found := hub.recount()[:2]) != counted:
                yield "queues", f"queues hold {found}, counted {counted}"
        wrong = [fault for fault in map(_fault_of, records) if fault]
        if wrong:
            yield "messages", f"{len(wrong)} messages, one of them: {wrong[0]}"


def _fault_of(record: DeliveryRecord) -> str:
    report, outcome = record.report, record.report.outcome()
    refused, dropped = sum(report.refused.values()), sum(outcome["dropped"].values())
    if report.matched != report.delivered + refused:
        return f"matched {report.matched} != delivered {report.delivered} + refused {refused}"
    if report.matched != len(record.addressees):
        return f"matched {report.matched} != recipients {len(record.addressees)}"
    if report.delivered != outcome["written"] + outcome["queued"] + dropped:
        return (
            f"delivered {report.delivered} != written {outcome['written']} "
            f"+ queued {outcome['queued']} + dropped {dropped}"
        )
    return ""
