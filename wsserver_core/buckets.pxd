cpdef enum:
    MESSAGES = 0
    BYTES = 1
    SUBSCRIBES = 2
    OFFENCES = 3
    SHARED_KINDS = 4       # those above are all that a party has which is no connection
    CONTROL = 4
    KINDS = 5


cdef struct Rate:
    double interval        # seconds in which one unit is earned; 0: no limit
    double depth           # seconds in which an empty bucket fills: burst * interval


cdef double spend(double *full_at, const Rate *rate, double cost, double now) noexcept nogil
cdef double charge(double *full_at, const Rate *rate, double cost, double now) noexcept nogil

cdef int check_kind(int kind, int kinds) except -1


cdef class Buckets:
    cdef double full_at[SHARED_KINDS]


cdef class RateLimits:
    cdef Rate rates[KINDS]
