"""Regular expressions, in linear time (RE2) and many at once.

Linear is not cheap: a pattern may need a new state for every byte. Such ones are found out when
they are subscribed to, by trying them.

All patterns that are asked of one field are searched together. They stand in shards of bounded
size: making one anew after a change takes less than a millisecond, and a pattern that needs
many states slows its own shard down and no other.
"""

cimport cython

import random
from time import thread_time_ns

from re2 import Options
from re2._re2 import RE2, Set

cdef enum:
    # How much of a text is searched: with MAX_PROGRAM it bounds a search, whatever the pattern,
    # to a millisecond. RE2 takes time in proportion to the product of the two at the worst.
    MAX_SUBJECT = 1024
    # Instructions of one pattern. A plain text has one for each byte.
    MAX_PROGRAM = 400
    # How many times longer than for a plain word a search may take in text made to be hard. Sensible
    # patterns were seen to take up to 4 times as long, those that explode 20 to 200 times.
    MAX_EFFORT = 10
    SHARD_PATTERNS = 128
    SHARD_PROGRAM = 4096

# Nothing in it lets a search skip ahead.
cdef bytes PLAIN = b"(a|b)+z"
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
    texts = _hard_texts(source)
    if _effort(pattern.source, texts) > MAX_EFFORT * _effort(PLAIN, texts):
        raise PatternError("a pattern that takes too long; avoid long counted repetitions of wide classes")
    return pattern


cdef list _hard_texts(str source):
    """Texts in which much of the pattern can begin and little can end."""
    dice = random.Random(1)
    own = "".join(sorted({letter for letter in source if letter.isalnum()})[:6])
    return [
        "".join(dice.choices(alphabet, k=MAX_SUBJECT)).encode()[:MAX_SUBJECT]
        for alphabet in ("ab", own + "ab ")
    ]


cdef object _effort(bytes source, list texts):
    """Nanoseconds of processor time for a first search through texts: the states are made on the way."""
    least = None
    for _ in range(2):
        compiled = RE2(source, ALONE)
        began = thread_time_ns()
        for text in texts:
            compiled.Match(ANYWHERE, text, 0, len(text))
        spent = thread_time_ns() - began
        least = spent if least is None else min(least, spent)
    return least


cdef str _why(str error):
    """RE2's complaint without the piece of the pattern that it ends with."""
    if error.startswith("pattern too large"):
        return "a pattern that is too large"
    return f"no regular expression of RE2: {error.partition(':')[0]}"


cdef bytes subject_of(str text):
    """As much of a text as is searched, ending with a whole character."""
    cdef bytes subject
    if len(text) > MAX_SUBJECT:
        text = text[:MAX_SUBJECT]
    subject = text.encode(errors="replace")
    return subject if len(subject) <= MAX_SUBJECT else subject[:MAX_SUBJECT].decode(errors="ignore").encode()


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
        cdef str text
        for text in texts:
            subject = subject_of(text)
            for shard in self.shards:
                shard.search(subject, stamp)
        self.stamp = stamp
        return 0
