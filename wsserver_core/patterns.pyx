"""Regular expressions, in linear time (RE2) and many at once.

Linear is not cheap: a pattern may need a new state for every byte. Such ones are found out when
they are subscribed to, by trying them.

All patterns that are asked of one field are searched together. They stand in shards of bounded
size: making one anew after a change takes less than a millisecond, and a pattern that needs
many states slows its own shard down and no other.
"""

cimport cython

import random
import re
from collections import Counter
from itertools import combinations
from time import thread_time_ns

from re2 import Options
from re2._re2 import RE2, Set

cdef enum:
    # How much of a field is searched, all its texts together. RE2 takes time in proportion to this and
    # to the size of the pattern: measured 0.8 ms at the worst, for a pattern that no trial would find.
    MAX_SEARCHED = 1024
    # Instructions of one pattern. A plain text has one for each byte, a dot 8, a class of all letters
    # of the world 1,200.
    MAX_PROGRAM = 160
    # How many times longer than a plain pattern one may take in text that is hard for it. Patterns
    # with few states were seen to take 1 to 3 times as long, those that explode 50 to 300 times.
    MAX_EFFORT = 10
    SHARD_PATTERNS = 128
    SHARD_PROGRAM = 4096

# Nothing in it lets a search skip ahead.
cdef bytes PLAIN = b"(a|b)+z"
# What decides between two letters, afresh for each of three goes.
cdef list RANDOM = ["".join(random.Random(go).choices("01", k=256)) for go in range(3)]
# The same between many, each by its place modulo 256; and texts of usual letters.
cdef list SCATTERED = [
    bytes(random.Random(go).choices(range(256), k=384)).decode("latin-1") for go in range(3)
]
cdef list USUAL = [
    ["".join(random.Random(go).choices(usual, k=384)).encode() for usual in ("0123456789.,", "aZ05_- ")]
    for go in range(3)
]
cdef object META = frozenset("\\^$.|?*+()[]{}:")
cdef object ESCAPE = re.compile(r"\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
cdef object ANYWHERE = RE2.Anchor.UNANCHORED


def _options(max_mem):
    options = Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem
    return options


# The first bounds what compiling may take before it refuses; the second holds a shard's states.
cdef object ALONE = _options(256 * 1024)
cdef object TOGETHER = _options(4 * 1024 * 1024)


class PatternError(ValueError):
    """The pattern is refused; the text says why."""


cdef Pattern make_pattern(str source, bint trial):
    """The compiled pattern; ``trial`` says whether to try how long it takes. Raises PatternError."""
    cdef Pattern pattern = Pattern.__new__(Pattern)
    pattern.source = source.encode()
    pattern.compiled = RE2(pattern.source, ALONE)
    if not pattern.compiled.ok():
        raise PatternError(_why(pattern.compiled.error().decode(errors="replace")))
    pattern.size = pattern.compiled.ProgramSize()
    if pattern.size > MAX_PROGRAM:
        raise PatternError("a pattern that is too large")
    if trial and _explodes(pattern.source, source):
        raise PatternError("a pattern that takes too long; avoid long counted repetitions of wide classes")
    return pattern


cdef bint _explodes(bytes pattern, str source) except -1:
    """Whether a pattern takes far longer than a plain one in texts that are hard for it."""
    # A busy machine can make anything look slow once: near the bound it must have been so three times.
    for _ in range(3):
        effort = _effort(pattern, source) / max(1, _effort(PLAIN, source))
        if effort <= MAX_EFFORT:
            return False
        if effort > 2 * MAX_EFFORT:
            return True
    return True


cdef object _effort(bytes pattern, str source):
    """Nanoseconds of processor time for texts that are hard for the pattern ``source``.

    What counts is the time after a first go, which makes the states that the pattern has: one with
    more states than that makes new ones with every byte.
    """
    compiled = RE2(pattern, ALONE)
    spent = []
    for go in range(3):
        texts = _hard_texts(source, go)
        began = thread_time_ns()
        for text in texts:
            compiled.Match(ANYWHERE, text, 0, len(text))
        spent.append(thread_time_ns() - began)
    return min(spent[1:])


cdef list _hard_texts(str source, int go):
    """Random texts in which much of the pattern can begin and little can end.

    Two letters each, of those that it names most; and all that it names together with some of each
    usual class, so that whatever class it has is met by some letters and not by others.
    """
    codes = [int(wide or narrow, 16) for wide, narrow in ESCAPE.findall(source)]
    escaped = [chr(code) for code in codes if code < 0xD800]
    named = [letter for letter, _ in Counter([*source, *escaped]).most_common() if letter not in META]
    pairs = [*combinations(dict.fromkeys([*named[:3], "a", "b"]), 2), ("\u0430", "\u0431")]
    texts = [RANDOM[go].translate({48: one, 49: other}).encode() for one, other in pairs]
    mixed = "".join([*named[:12], *"05aZ-"])
    texts.append(SCATTERED[go].translate((mixed * 256)[:256]).encode())
    return texts + USUAL[go]


cdef str _why(str error):
    """RE2's complaint without the piece of the pattern that it ends with."""
    if error.startswith("pattern too large"):
        return "a pattern that is too large"
    return f"no regular expression of RE2: {error.partition(':')[0]}"


cdef list subjects_of(list texts):
    """As much of the texts as is searched, each ending with a whole character."""
    cdef list subjects = []
    cdef bytes subject
    cdef str text
    cdef Py_ssize_t left = MAX_SEARCHED
    for text in texts:
        if left == 0:
            break
        subject = text[:left].encode(errors="replace")
        if len(subject) > left:
            subject = subject[:left].decode(errors="ignore").encode()
            left = len(subject)
        left -= len(subject)
        subjects.append(subject)
    return subjects


@cython.final
cdef class Pattern:
    """One pattern, searched in a shard or by itself."""

    cdef bint search(self, bytes text) except -1:
        return self.compiled.Match(ANYWHERE, text, 0, len(text))[0] != (-1, -1)


@cython.final
cdef class Seat:
    """A pattern's place in a book."""


@cython.final
cdef class Shard:
    """Patterns that are searched in one go."""

    def __cinit__(self):
        self.seats = []

    cdef int make(self) except -1:
        cdef Seat seat
        compiled = Set(ANYWHERE, TOGETHER)
        for seat in self.seats:
            compiled.Add(seat.pattern.source)
        # A set that runs out of memory finds nothing and does not say so. This one is always found.
        compiled.Add(b"")
        compiled.Compile()
        self.compiled = compiled
        return 0

    cdef int search(self, bytes text) except -1:
        cdef Seat seat
        cdef list found
        cdef list seats = self.seats
        cdef Py_ssize_t place
        cdef Py_ssize_t sentinel = len(seats)
        cdef bint whole = False
        if self.compiled is None:
            self.make()
        found = self.compiled.Match(text)
        for place in found:
            if place == sentinel:
                whole = True
            else:
                (<Seat>seats[place]).pattern.found = True
        if not whole:
            for seat in seats:
                seat.pattern.found = seat.pattern.found or seat.pattern.search(text)
        return 0


@cython.final
cdef class PatternBook:
    """Patterns that are asked of one field by filters that are tested together.

    Never those of others: how long a search takes tells about the text, and whoever may not see a
    message must not be able to have it searched.
    """

    def __cinit__(self):
        self.seats = {}
        self.shards = []

    cdef int enter(self, Pattern pattern) except -1:
        """Take a pattern in, or note one more user. If that fails nothing has changed."""
        cdef Shard shard, roomy = None
        cdef Seat seat = self.seats.get(pattern)
        if seat is None:
            for shard in self.shards:
                if len(shard.seats) < SHARD_PATTERNS and shard.size + pattern.size <= SHARD_PROGRAM:
                    roomy = shard
            if roomy is None:
                roomy = Shard()
                self.shards.append(roomy)
            seat = Seat.__new__(Seat)
            seat.pattern, seat.shard, seat.place = pattern, roomy, len(roomy.seats)
            self.seats[pattern] = seat
            try:
                roomy.seats.append(seat)
            except MemoryError:
                del self.seats[pattern]
                raise
            roomy.size += pattern.size
            roomy.compiled = None
        seat.users += 1
        return 0

    cdef int leave(self, Pattern pattern) except -1:
        """One user less; allocates nothing."""
        cdef Seat seat = self.seats[pattern]
        cdef Shard shard = seat.shard
        cdef Seat last
        seat.users -= 1
        if seat.users:
            return 0
        last = shard.seats.pop()
        if last is not seat:
            shard.seats[seat.place] = last
            last.place = seat.place
        shard.size -= pattern.size
        shard.compiled = None
        del self.seats[pattern]
        if not shard.seats:
            self.shards.remove(shard)
        return 0

    cdef int search(self, list texts, unsigned long long stamp) except -1:
        """Note in each pattern whether one of the texts has it."""
        cdef Shard shard
        cdef Seat seat
        cdef bytes subject
        for shard in self.shards:
            for seat in shard.seats:
                seat.pattern.found = False
                seat.pattern.stamp = stamp
        for subject in subjects_of(texts):
            for shard in self.shards:
                shard.search(subject)
        return 0
