"""What a filter says, as a tree in normal form: filters that say the same, whatever the order, are equal.

The functions below build it from the bottom up: they flatten, sort, drop duplicates and turn
what has two spellings into one.
"""

cimport cython

from wsserver_core.conditions cimport EXISTS, IN, NOT_IN, REGEX, Condition, json_text, make_condition
from wsserver_core.fields cimport Probe


@cython.final
cdef class Expression:
    """A condition, or a connective over others."""

    cdef bint holds(self, Probe probe) except -1:
        cdef Expression child
        if self.kind == LEAF:
            return self.condition.holds(probe)
        if self.kind == NOT:
            child = self.children[0]
            return not child.holds(probe)
        for child in self.children:
            if child.holds(probe) != (self.kind == ALL):
                return self.kind == ANY
        return self.kind == ALL

    cdef dict written(self):
        """The filter that says the same, each time a fresh one."""
        cdef Expression child
        cdef dict whole, part
        cdef list rest
        if self.kind == LEAF:
            return self.condition.written()
        if self.kind == NOT:
            child = self.children[0]
            return {"$not": child.written()}
        if self.kind == ANY:
            return {"$or": [child.written() for child in self.children]}
        whole, rest = {}, []
        for child in self.children:
            part = child.written()
            if not _merge(whole, part):
                rest.append(part)
        if rest:
            whole["$and"] = rest
        return whole

    cdef double complexity(self) except -1:
        """Conditions and connectives, a sixteenth for each value of a list, 5 for a pattern."""
        cdef Expression child
        cdef double total = 1.0
        if self.kind == LEAF:
            if isinstance(self.condition.operand, list):
                total += len(self.condition.operand) / 16.0
            return total + 5.0 if self.condition.operator == REGEX else total
        # That all members hold goes without saying in every filter.
        if self.kind == ALL:
            total = 0.0
        for child in self.children:
            total += child.complexity()
        return total


cdef bint _merge(dict whole, dict part) except -1:
    """Put a part with one member into a filter; False if the member's place is taken."""
    for key, wanted in part.items():
        if key not in whole:
            whole[key] = wanted
            return True
        there = whole[key]
        if key.startswith("$"):
            return False
        there = there if isinstance(there, dict) else _as_operator(there)
        wanted = wanted if isinstance(wanted, dict) else _as_operator(wanted)
        if not there.keys().isdisjoint(wanted):
            return False
        whole[key] = {**there, **wanted}
    return True


cdef dict _as_operator(object wanted):
    return {"$in" if isinstance(wanted, list) else "$eq": wanted}


cdef Expression leaf(Condition condition):
    cdef Expression expression = Expression.__new__(Expression)
    expression.kind = LEAF
    expression.children = ()
    expression.condition = condition
    expression.text = condition.text
    return expression


cdef Expression all_of(list parts):
    """That all of them hold."""
    return _connective(ALL, parts)


cdef Expression any_of(list parts):
    """That one of them holds, at least."""
    cdef Expression part
    for part in parts:
        if part.kind == ALL and not part.children:
            return part
    return _connective(ANY, parts)


cdef Expression negation(Expression part):
    """That it does not hold."""
    cdef Condition condition = part.condition
    if part.kind == NOT:
        return part.children[0]
    if part.kind == LEAF and condition.operator == EXISTS:
        return leaf(_ready(make_condition(condition.field, EXISTS, condition.operand is False)))
    if part.kind == LEAF and condition.operator in (IN, NOT_IN):
        opposite = NOT_IN if condition.operator == IN else IN
        return leaf(_ready(make_condition(condition.field, opposite, condition.operand)))
    return _expression(NOT, (part,))


cdef Condition _ready(Condition condition):
    condition.compile(False)
    return condition


cdef Expression _connective(Kind kind, list parts):
    cdef Expression part, inner
    cdef dict distinct = {}
    for part in parts:
        for inner in part.children if part.kind == kind else (part,):
            distinct[inner.text] = inner
    if len(distinct) == 1:
        return distinct.popitem()[1]
    return _expression(kind, tuple([distinct[text] for text in sorted(distinct)]))


cdef Expression _expression(Kind kind, tuple children):
    cdef Expression expression = Expression.__new__(Expression)
    expression.kind = kind
    expression.children = children
    expression.text = json_text(expression.written())
    return expression
