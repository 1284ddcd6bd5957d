"""Regular expressions, in linear time (RE2) and many at once.

Linear is not cheap: a pattern may need a new state for every byte. Such ones are found out when
they are subscribed to, by trying them.

All patterns that are asked of one field are searched together. They stand in shards of bounded
size: making one anew after a change takes less than a millisecond, and a pattern that needs
many states slows its own shard down and no other.
"""

cimport cython

import random
from collections import Counter
from itertools import combinations
from time import thread_time_ns

from re2 import Options
from re2._re2 import RE2, Set

cdef enum:
    # How much of a text is searched, and of all texts of a field together. RE2 takes time in
    # proportion to this and the size of the pattern: half a millisecond for 1,024 bytes at the worst.
    MAX_SUBJECT = 1024
    MAX_SEARCHED = 2048
    # Instructions of one pattern. A plain text has one for each byte, a class of all letters 1,200.
    MAX_PROGRAM = 1500
    # How many times longer than a plain pattern one may take in text that is hard for it. Patterns
    # with few states were seen to take 1 to 3 times as long, those that explode 50 to 300 times.
    MAX_EFFORT = 10
    SHARD_PATTERNS = 128
    SHARD_PROGRAM = 4096

# Nothing in it lets a search skip ahead.
cdef bytes PLAIN = b"(a|b)+z"
# What decides between two letters, afresh for each of three goes.
cdef list RANDOM = ["".join(random.Random(go).choices("01", k=256)) for go in range(3)]
cdef object META = frozenset("\\^$.|?*+()[]{}:0123456789")
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


cdef Pattern make_pattern(str source):
    """The compiled pattern. Raises PatternError."""
    cdef Pattern pattern = Pattern.__new__(Pattern)
    pattern.source = source.encode()
    pattern.compiled = RE2(pattern.source, ALONE)
    if not pattern.compiled.ok():
        raise PatternError(_why(pattern.compiled.error().decode(errors="replace")))
    pattern.size = pattern.compiled.ProgramSize()
    if pattern.size > MAX_PROGRAM:
        raise PatternError("a pattern that is too large")
    if _explodes(pattern.source, source):
        raise PatternError("a pattern that takes too long; avoid long counted repetitions of wide classes")
    return pattern


cdef bint _explodes(bytes pattern, str source) except -1:
    """Whether a pattern takes far longer than a plain one in texts that are hard for it."""
    # A busy machine can make anything look slow once: near the bound it must have been so three times.
    for _ in range(3):
        effort = _effort(pattern, source) / max(1, _effort(PLAIN, source))
        if effort <= MAX_EFFORT:
            return False
        if effort > 5 * MAX_EFFORT:
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
    """Random texts of two letters each: much of the pattern can begin in them, and little can end."""
    letters = [letter for letter, _ in Counter(source).most_common() if letter not in META][:3]
    pairs = [*combinations(dict.fromkeys([*letters, "a", "b"]), 2), ("\u0430", "\u0431")]
    return [RANDOM[go].translate({48: one, 49: other}).encode() for one, other in pairs]


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
    cdef Py_ssize_t room
    for text in texts:
        if left == 0:
            break
        room = min(left, MAX_SUBJECT)
        subject = text[:MAX_SUBJECT].encode(errors="replace")
        if len(subject) > room:
            subject = subject[:room].decode(errors="ignore").encode()
            if room == left:
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
cdef class Shard:
    """Patterns that are searched in one go."""

    def __cinit__(self):
        self.patterns = []

    cdef int make(self) except -1:
        cdef Pattern pattern
        compiled = Set(ANYWHERE, TOGETHER)
        for pattern in self.patterns:
            compiled.Add(pattern.source)
        # A set that runs out of memory finds nothing and does not say so. This one is always found.
        compiled.Add(b"")
        compiled.Compile()
        self.compiled = compiled
        return 0

    cdef int search(self, bytes text, unsigned long long stamp) except -1:
        cdef Pattern pattern
        cdef list found
        cdef list patterns = self.patterns
        cdef Py_ssize_t seat
        cdef Py_ssize_t sentinel = len(patterns)
        cdef bint whole = False
        if self.compiled is None:
            self.make()
        found = self.compiled.Match(text)
        for seat in found:
            if seat == sentinel:
                whole = True
            else:
                (<Pattern>patterns[seat]).found = stamp
        if not whole:
            for pattern in patterns:
                if pattern.search(text):
                    pattern.found = stamp
        return 0


@cython.final
cdef class PatternBook:
    """All patterns that are asked of one field."""

    def __cinit__(self):
        self.shards = []

    cdef int enter(self, Pattern pattern) except -1:
        cdef Shard shard, roomy = None
        for shard in self.shards:
            if len(shard.patterns) < SHARD_PATTERNS and shard.size + pattern.size <= SHARD_PROGRAM:
                roomy = shard
        if roomy is None:
            roomy = Shard()
            self.shards.append(roomy)
        pattern.shard, pattern.seat = roomy, len(roomy.patterns)
        roomy.patterns.append(pattern)
        roomy.size += pattern.size
        roomy.compiled = None
        return 0

    cdef int leave(self, Pattern pattern) except -1:
        cdef Shard shard = pattern.shard
        cdef Pattern last = shard.patterns.pop()
        if last is not pattern:
            shard.patterns[pattern.seat] = last
            last.seat = pattern.seat
        shard.size -= pattern.size
        shard.compiled = None
        pattern.shard = None
        if not shard.patterns:
            self.shards.remove(shard)
        return 0

    cdef int search(self, list texts, unsigned long long stamp) except -1:
        """Note in each pattern whether one of the texts has it; once per message."""
        cdef Shard shard
        cdef bytes subject
        for subject in subjects_of(texts):
            for shard in self.shards:
                shard.search(subject, stamp)
        self.stamp = stamp
        return 0
