"""One address, (type, target), and all who subscribed to it."""

cimport cython
from cpython.object cimport PyObject

from wsserver_core.shelves cimport Shelf

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL


@cython.final
cdef class Topic:
    """The subscriptions of one address."""

    def __cinit__(self, str subscription_type, str target_id):
        self.subscription_type = subscription_type
        self.target_id = target_id
        self.settled = subscription_type == "patient" and target_id != "*"
        self.shelves = None if self.settled else {}
        self.everyone = Shelf()
        self.everyone.topic = <PyObject *>self


cdef Topic find_topic(dict types, str subscription_type, str target_id):
    """The topic in a table of subscription type -> {target id -> Topic}, or None."""
    cdef PyObject *targets = PyDict_GetItemWithError(types, subscription_type)
    cdef PyObject *topic
    if targets is NULL:
        return None
    topic = PyDict_GetItemWithError(<object>targets, target_id)
    return None if topic is NULL else <Topic>topic
