"""How long things took: how many of them up to each of a few bounds."""

cimport cython
from libc.stdint cimport uint64_t

# Three to a decade from 10 µs to 10 s. 0.2 and 0.5 are among them, the specification's thresholds of
# latency, so that an alert is exact there and nowhere off by more than half.
cdef double[BOUND_COUNT] LIMITS = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
    2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
]


@cython.final
cdef class Histogram:
    """Durations since the start, counted by size. A note is a dozen comparisons and two additions."""

    cdef void add(self, double seconds) noexcept:
        cdef int place = 0
        # A clock that stepped back, or no number at all.
        if not seconds > 0:
            seconds = 0
        while place < BOUND_COUNT and seconds > LIMITS[place]:
            place += 1
        self.counts[place] += 1
        self.total += seconds

    def note(self, double seconds):
        """Count a duration; what is below 0 counts as 0."""
        self.add(seconds)

    def figures(self):
        """``(bound, how many took no longer)`` for each bound in seconds, the last infinite: all of them."""
        cdef list found = []
        cdef uint64_t running = 0
        cdef int place
        for place in range(<int> BOUND_COUNT):
            running += self.counts[place]
            found.append((LIMITS[place], running))
        found.append((float("inf"), running + self.counts[BOUND_COUNT]))
        return found
