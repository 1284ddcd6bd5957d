from wsserver_core.shelves cimport Shelf


cdef class Topic:
    cdef str subscription_type
    cdef str target_id
    cdef bint settled     # one patient's: whoever subscribed may see him
    cdef Shelf everyone
    cdef dict shelves     # Scope -> Shelf; None where rights are settled


cdef Topic find_topic(dict types, str subscription_type, str target_id)
