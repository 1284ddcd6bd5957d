"""An expression as alternatives that an index can answer: conjunctions of which any one suffices."""

cimport cython

from wsserver_core.conditions cimport IN, Condition, is_order
from wsserver_core.expressions cimport ANY, LEAF, NOT, Expression
from wsserver_core.fields cimport Probe

cdef enum:
    # A filter is looked up under each of its alternatives and keys; one with more is asked as it is.
    MAX_ALTERNATIVES = 16
    MAX_KEY_FIELDS = 4
    MAX_KEYS = 16


@cython.final
cdef class Conjunction:
    """Conditions that must all hold, sorted by how an index can answer them."""

    cdef bint others_hold(self, Probe probe) except -1:
        cdef Condition condition
        for condition in self.others:
            if not condition.holds(probe):
                return False
        for condition in self.barred:
            if condition.holds(probe):
                return False
        return True


cdef tuple conjunctions_of(Expression expression):
    """The alternatives; None if there are too many."""
    cdef list alternatives = _alternatives(expression, False)
    return None if alternatives is None else tuple([_conjunction(literals) for literals in alternatives])


cdef list _alternatives(Expression expression, bint negated):
    """The expression as alternatives, each a list of (condition, whether it is barred); None if too many."""
    cdef Expression child
    cdef list result, more
    if expression.kind == LEAF:
        return [[(expression.condition, negated)]]
    if expression.kind == NOT:
        return _alternatives(expression.children[0], not negated)
    if (expression.kind == ANY) != negated:
        result = []
        for child in expression.children:
            more = _alternatives(child, negated)
            if more is None:
                return None
            result += more
            if len(result) > MAX_ALTERNATIVES:
                return None
        return result
    result = [[]]
    for child in expression.children:
        more = _alternatives(child, negated)
        if more is None or len(result) * len(more) > MAX_ALTERNATIVES:
            return None
        result = [one + other for one in result for other in more]
    return result


cdef Conjunction _conjunction(list literals):
    cdef Conjunction conjunction = Conjunction.__new__(Conjunction)
    cdef Condition condition
    cdef list keyed = [], orders = [], others = [], barred = []
    cdef Py_ssize_t combinations = 1
    for condition, is_barred in literals:
        if is_barred:
            barred.append(condition)
        elif condition.operator == IN:
            keyed.append(condition)
        elif is_order(condition.operator):
            orders.append(condition)
        else:
            others.append(condition)
    # The fewest values first: they cost the fewest entries and leave the fewest candidates.
    keyed.sort(key=_by_width)
    chosen = {}
    for condition in keyed:
        if (condition.field.path in chosen or len(chosen) == MAX_KEY_FIELDS
                or combinations * len(condition.keys) > MAX_KEYS):
            others.append(condition)
        else:
            combinations *= len(condition.keys)
            chosen[condition.field.path] = condition
    conjunction.fields = tuple([(<Condition>chosen[path]).field for path in sorted(chosen)])
    keys = [()]
    for path in sorted(chosen):
        keys = [key + (value,) for key in keys for value in (<Condition>chosen[path]).keys]
    # One field's key stands for itself, as the reading has it.
    conjunction.keys = tuple([key[0] if len(key) == 1 else key for key in keys])
    orders.sort(key=_by_place)
    if orders:
        conjunction.first = orders.pop(0)
    if orders:
        conjunction.second = orders.pop(0)
    conjunction.others = tuple(others + orders)
    conjunction.barred = tuple(barred)
    return conjunction


def _by_width(Condition condition):
    return len(condition.keys), condition.field.path


def _by_place(Condition condition):
    return condition.field.path, <int>condition.operator
