"""From what a client wrote to an expression, or to a refusal that says where and why."""

cimport cython

from wsserver_core.conditions cimport (
    AT_LEAST, AT_MOST, CONTAINS, EXISTS, GREATER, IN, LESS, NOT_IN, PREFIX, REGEX, Condition, Operator,
    Vocabulary, make_condition,
)
from wsserver_core.expressions cimport Expression, all_of, any_of, leaf, negation
from wsserver_core.fields cimport Field

import difflib
from math import isfinite

from wsserver_core.patterns import PatternError

# 2**53: from here on a browser cannot tell a whole number from its neighbours.
cdef long long MAX_WHOLE = 9007199254740992

cdef dict OPERATORS = {
    "$eq": IN, "$in": IN, "$ne": NOT_IN, "$nin": NOT_IN, "$gt": GREATER, "$gte": AT_LEAST, "$lt": LESS,
    "$lte": AT_MOST, "$exists": EXISTS, "$prefix": PREFIX, "$contains": CONTAINS, "$regex": REGEX,
}
cdef enum:
    MAX_PIECES = 4  # objects in a filter, for each condition that it may have

cdef tuple CONNECTIVES = ("$and", "$or", "$not")


class FilterError(ValueError):
    """The filter is refused: ``path`` says where, ``reason`` why. Neither holds a value of the filter."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path[:128]
        self.reason = reason
        super().__init__(f"{self.path}: {reason}" if path else reason)


@cython.final
cdef class FilterLimits:
    """Bounds of one filter.

    Bytes of its canonical form; conditions and connectives; names in a path and levels of
    connectives; values of a list; bytes of a pattern; patterns. ``try_patterns`` refuses patterns
    that take too long: False is for filters that have been accepted before.
    """

    def __init__(self, *, Py_ssize_t max_bytes=4096, Py_ssize_t max_nodes=64, Py_ssize_t max_depth=8,
                 Py_ssize_t max_values=256, Py_ssize_t max_pattern_bytes=256, Py_ssize_t max_patterns=16,
                 bint try_patterns=True):
        if min(max_bytes, max_nodes, max_depth, max_values, max_pattern_bytes, max_patterns) < 1:
            raise ValueError("limits of filters are at least 1")
        self.max_bytes = max_bytes
        self.max_nodes = max_nodes
        self.max_depth = max_depth
        self.max_values = max_values
        self.max_pattern_bytes = max_pattern_bytes
        self.max_patterns = max_patterns
        self.try_patterns = try_patterns


@cython.final
cdef class FilterParser:
    """Reads one filter. ``place`` is where it has got to, in the words of the client's own filter."""

    def __cinit__(self, FilterLimits limits not None, Vocabulary vocabulary not None):
        self.limits = limits
        self.vocabulary = vocabulary
        self.fields = {}
        self.conditions = {}

    cdef Expression parse(self, object source):
        return all_of([]) if source is None else self.filter(source, "", 0)

    cdef Expression filter(self, object source, str place, Py_ssize_t level):
        cdef list parts = []
        cdef str path
        if not isinstance(source, dict):
            raise FilterError(place, "a filter is an object")
        self.pieces += 1
        if len(source) > self.limits.max_nodes or self.pieces > MAX_PIECES * <double>self.limits.max_nodes:
            raise FilterError(place, f"more than {self.limits.max_nodes} conditions")
        for key, wanted in source.items():
            if not isinstance(key, str):
                raise FilterError(place, "a key is text")
            path = self.text(key, place)
            if path in CONNECTIVES:
                parts.append(self.connective(path, wanted, _inside(place, path), level))
            else:
                parts.append(self.member(path, wanted, _inside(place, path)))
        return all_of(parts)

    cdef Expression connective(self, str name, object wanted, str place, Py_ssize_t level):
        cdef list parts
        # That all must hold is what an object says anyway: the normal form may need an $and where the
        # filter that it is made from had none, and must be within the same limits.
        if name != "$and":
            level += 1
            self.count()
        if level > self.limits.max_depth:
            raise FilterError(place, f"nested more than {self.limits.max_depth} levels deep")
        if name == "$not":
            return negation(self.filter(wanted, place, level))
        if not isinstance(wanted, (list, tuple)):
            raise FilterError(place, "takes a list of filters")
        if not wanted:
            raise FilterError(place, "an empty list")
        parts = [self.filter(one, f"{place}[{number}]", level) for number, one in enumerate(wanted)]
        return all_of(parts) if name == "$and" else any_of(parts)

    cdef Expression member(self, str path, object wanted, str place):
        cdef Field field = self.field(path, place)
        if isinstance(wanted, dict):
            return all_of(self.operators(field, wanted, place))
        return self.equality(field, IN, wanted, place, isinstance(wanted, (list, tuple)))

    cdef list operators(self, Field field, dict wanted, str place):
        cdef list parts = []
        cdef Operator operator
        cdef str name, inside
        if not wanted:
            raise FilterError(place, NO_OPERATOR)
        for key, operand in wanted.items():
            if not isinstance(key, str):
                raise FilterError(place, "a key is text")
            name = self.text(key, place)
            inside = _inside(place, name)
            if not name.startswith("$"):
                meant = "$" + name.lower()
                reason = f"an operator begins with $: {meant}" if meant in OPERATORS else NO_OPERATOR
                raise FilterError(place, reason)
            if name in CONNECTIVES:
                raise FilterError(inside, "stands around a filter, not inside a field's operators")
            if name not in OPERATORS:
                raise FilterError(inside, _unknown(name))
            operator = OPERATORS[name]
            if operator == IN or operator == NOT_IN:
                parts.append(self.equality(field, operator, operand, inside, name in ("$in", "$nin")))
            elif operator == EXISTS:
                if operand is not True and operand is not False:
                    raise FilterError(inside, "takes true or false")
                parts.append(self.condition(field, operator, operand))
            elif operator >= PREFIX:
                parts.append(self.textual(field, operator, operand, inside))
            else:
                parts.append(self.order(field, operator, operand, inside))
        return parts

    cdef Expression equality(self, Field field, Operator operator, object wanted, str place, bint many):
        cdef set distinct = set()
        if many:
            if not isinstance(wanted, (list, tuple)):
                raise FilterError(place, "takes a list of values")
            if not wanted:
                raise FilterError(place, "an empty list")
            if len(wanted) > self.limits.max_values:
                raise FilterError(place, f"more than {self.limits.max_values} values")
        else:
            wanted = (wanted,)
        for value in wanted:
            if value is not None:
                value = self.identity(value, place) if field.identity else self.scalar(value, place)
            distinct.add((_rank(value), value))
        operand = [value for _, value in sorted(distinct)]
        return self.condition(field, operator, operand[0] if len(operand) == 1 else operand)

    cdef Expression order(self, Field field, Operator operator, object wanted, str place):
        if field.identity:
            raise FilterError(place, "ids have no order")
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            raise FilterError(place, "takes a number")
        return self.condition(field, operator, self.scalar(wanted, place))

    cdef Expression textual(self, Field field, Operator operator, object wanted, str place):
        if not isinstance(wanted, str):
            raise FilterError(place, "takes text")
        wanted = self.text(wanted, place)
        if operator == REGEX:
            if len(wanted.encode()) > self.limits.max_pattern_bytes:
                raise FilterError(place, f"more than {self.limits.max_pattern_bytes} bytes")
            # Before they are compiled, which is the dear part.
            self.patterns += 1
            if self.patterns > self.limits.max_patterns:
                raise FilterError(place, f"more than {self.limits.max_patterns} patterns")
        try:
            return self.condition(field, operator, wanted)
        except PatternError as fault:
            raise FilterError(place, str(fault)) from None

    cdef Expression condition(self, Field field, Operator operator, object operand):
        cdef Condition made
        cdef str text
        self.count()
        made = make_condition(field, operator, operand)
        text = made.text
        found = self.vocabulary.conditions.get(text) or self.conditions.get(text)
        if found is None:
            made.compile(self.limits.try_patterns)
            found = self.conditions[text] = made
        return leaf(found)

    cdef Field field(self, str path, str place):
        cdef list names
        if path.startswith("$"):
            if path in OPERATORS:
                raise FilterError(place, "an operator of a field, outside any field")
            raise FilterError(place, _unknown(path))
        found = self.vocabulary.fields.get(path) or self.fields.get(path)
        if found is not None:
            return found
        names = path.split(".")
        if len(names) > self.limits.max_depth:
            raise FilterError(place, f"a path of more than {self.limits.max_depth} fields")
        for name in names:
            if not name:
                raise FilterError(place, "an empty name in the path")
            if name.startswith("$"):
                raise FilterError(place, "unknown operator: a path cannot hold one")
        found = self.fields[path] = Field(path)
        return found

    cdef int count(self) except -1:
        self.nodes += 1
        if self.nodes > self.limits.max_nodes:
            raise FilterError("", f"more than {self.limits.max_nodes} conditions")
        return 0

    # -- constants

    cdef object scalar(self, object value, str place):
        if isinstance(value, str):
            return self.text(value, place)
        if value is True or value is False:
            return value
        if isinstance(value, int):
            return _whole(value, place)
        if isinstance(value, float):
            if not isfinite(value):
                raise FilterError(place, "a number that is not finite")
            # 1.0 and 1 are one number and must be spelled alike in the canonical form.
            return int(value) if abs(value) <= MAX_WHOLE and value == int(value) else <double>value
        raise FilterError(place, "a value is text, a number, true, false or null")

    cdef str identity(self, object value, str place):
        if isinstance(value, str):
            return self.text(value, place)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(_whole(value, place))
        raise FilterError(place, "an id is text or a whole number from 0")

    cdef str text(self, object value, str place):
        cdef str text = str.__str__(value)
        # The whole filter is measured in the end; this spares the work on what cannot pass.
        if len(text) > self.limits.max_bytes:
            raise FilterError(place, f"more than {self.limits.max_bytes} bytes")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise FilterError(place, "text with half of a surrogate pair") from None
        return text


NO_OPERATOR = "an object; a field inside is named with dots, such as vitals.hr"


cdef str _inside(str place, str name):
    # Cut here, for a refusal shows no more and nesting must not add up.
    return f"{place}.{name}"[:200] if place else name[:200]


cdef str _nearest(str name):
    # Comparing costs the product of the lengths: what is longer than any operator is no slip.
    if len(name) > 16:
        return None
    close = difflib.get_close_matches(name.lower(), [*OPERATORS, *CONNECTIVES], 1, 0.7)
    return close[0] if close else None


cdef str _unknown(str name):
    near = _nearest(name)
    return f"unknown operator; did you mean {near}?" if near else "unknown operator"


cdef object _whole(object value, str place):
    if not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise FilterError(place, "a whole number beyond 2**53")
    return <long long>value


cdef int _rank(object value) except -1:
    """The order of kinds in a list: null, false, true, numbers, texts. Values of one rank compare."""
    if value is None:
        return 0
    if value is False:
        return 1
    if value is True:
        return 2
    return 4 if isinstance(value, str) else 3
