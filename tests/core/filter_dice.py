"""Random filters and messages, from pools so small that they meet.

Everything is drawn from a ``random.Random``, so a seed is a test case. A filter asks about the
fields of SHAPE, mostly for values of their kind; a message has most of these fields, mostly of
their kind, and everything else now and then.
"""

import random
from typing import Any

NAN = float("nan")
INFINITY = float("inf")

NUMBERS = [0, 1, 1, 1.0, 2.5, -1, -0.0, 61, 2**53]
BOUNDS = [-1, 0, -0.0, 0.5, 1, 1.0, 2.5, 60, 2**53]
TEXTS = ["", "a", "a", "ab", "ab", "b\na", "icu", "ICU", "é", "1", "\N{GRINNING FACE}b"]
IDS = [0, 1, 1, 15, "0", "1", "1", "15", "01", "x"]
ANY = [None, True, True, False, 0, 1, "a", "1", "None"]
PATTERNS = [
    "a", "^a", "b$", "^$", "a.b", "(?s)b.a", "(?i)icu", "^(a|b)+$", r"\d", "é", "^.{1,2}$", "", "x{0,3}",
    "[^a]", r"\p{Latin}", r"\bicu\b", "^[15]", "(?P<name>u)", "a*?b", "c$", r"\x00?",
]  # fmt: skip
PIECES = ["a", "a", "a", "b", "1", "1", "5", "é", "ic", "", "aa", "\n", "\N{GRINNING FACE}", *TEXTS]

# Around the end of what a pattern is held against, in one-byte and in longer characters.
LONG_TEXTS = [
    "a" * 1023 + "b", "a" * 1024 + "b", "a" * 1023 + "é", "a" * 1022 + "éb", "é" * 512 + "b",
    "é" * 600, "b" + "a" * 2000, "a" * 1021 + "\N{GRINNING FACE}", "5" * 1500,
]  # fmt: skip
ODD = [NAN, INFINITY, -INFINITY, 2**53 + 1, -(10**400), 2**63, b"a", "\ud800"]

KINDS: dict[str, list[Any]] = {"number": NUMBERS, "text": TEXTS, "id": IDS, "any": ANY}
SCALARS = [*NUMBERS, *TEXTS, *ANY]

SHAPE: dict[str, Any] = {
    "n": "number",
    "name": "text",
    "flag": "any",
    "tags": "text",
    "patient_id": "id",
    "vitals": {"hr": "number", "bp": {"sys": "number"}},
    "leads": {"name": "text", "gain": "number"},
    "bed": {"user_id": "id"},
}
FIELDS: dict[str, str] = {
    "n": "number", "name": "text", "flag": "any", "tags": "text", "patient_id": "id", "vitals.hr": "number",
    "vitals.bp.sys": "number", "leads.name": "text", "leads.gain": "number", "bed.user_id": "id",
    "severity": "text",
}  # fmt: skip
BY_THE_WAY: dict[str, str] = {
    "leads": "any", "vitals.bp": "any", "n.m": "number", "bed.target_id": "id", "tags.name": "text",
    "data_type": "text", "leads.name.0": "any", "__class__": "any",
}  # fmt: skip
DERIVED: dict[str, Any] = {"severity": "text", "data_type": "text", "n": "number"}

ORDER = ["$gt", "$gte", "$lt", "$lte"]
OPERATORS = ["$eq", "$ne", "$in", "$nin", *ORDER, "$exists", "$prefix", "$contains", "$regex"]
APT: dict[str, list[str]] = {
    "number": ["$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists"],
    "text": ["$eq", "$ne", "$in", "$nin", "$exists", "$prefix", "$contains", "$contains", "$regex", "$regex"],
    "id": ["$eq", "$ne", "$in", "$nin", "$exists", "$prefix", "$contains", "$regex"],
    "any": ["$eq", "$ne", "$in", "$nin", "$exists"],
}

BAD_PATHS = ["", "a.", ".a", "a..b", "$gt", "$where", "a.$b", "\ud800", 5, None, b"a", ".".join("abcdefghi")]
BAD_PATTERNS = ["(", "[", "*", r"(a)\1", "(?=a)", "[z-a]", "a{1001}", "\\", "(?P<n", r"\pX", "é" * 129]
BAD_WANTED: list[Any] = [
    NAN, INFINITY, 2**53 + 1, -(10**400), b"", object(), {1}, {}, [], (), [[]], [{}], "\udfff", ["a", NAN],
    {"$eq": [1]}, {"$eq": NAN}, {"$eq": {}}, {"$ne": "\ud800"}, {"$ne": 2**53 + 1},
    {"$ne": ()}, {"$in": 5}, {"$in": "a"}, {"$in": []}, {"$in": None}, {"$nin": {}}, {"$nin": [[1]]},
    {"$nin": list(range(257))}, {"$gt": "5"}, {"$gte": True}, {"$lt": None}, {"$lte": [5]}, {"$gt": NAN},
    {"$lt": 2**60}, {"$lte": INFINITY},
    {"$exists": 1}, {"$exists": 0}, {"$exists": None}, {"$exists": "true"}, {"$exists": [True]},
    {"$prefix": 5}, {"$prefix": None}, {"$contains": ["a"]}, {"$contains": "\ud800"}, {"$regex": 5},
    {"$regex": "\ud800"}, *({"$regex": pattern} for pattern in BAD_PATTERNS),
    {"$and": [{"a": 1}]}, {"$or": [{"a": 1}]}, {"$not": {"$eq": 1}}, {"$near": 1}, {"$size": 1}, {"$GT": 1},
    {"hr": 5}, {5: 5}, {"$eq": 1, "a": 1}, {"$eq": 1, "": 1}, {"$eq": 1, "$": 1}, {"$eq": 1, None: 1},
]  # fmt: skip
BAD_MEMBERS: list[dict[Any, Any]] = [
    {"patient_id": True}, {"patient_id": 5.0}, {"bed.user_id": -1}, {"bed.user_id": {"$gt": 5}},
    {"patient_id": [1, False]}, {"patient_id": {"$lte": 5}}, {"bed.target_id": {"$nin": [0.5]}},
    {"$and": []}, {"$and": {}}, {"$or": {"a": 1}}, {"$or": [None]}, {"$or": [[]]}, {"$and": "a"},
    {"$and": None},
    {"$or": [{"a": 1}, 5]}, {"$or": ()}, {"$not": None}, {"$not": []}, {"$not": [{"a": 1}]}, {"$not": 5},
    {"$not": "a"}, {"$not": True}, {"$and": [{}] * 300},
]  # fmt: skip

DEPTH = 4
FAULTY = 0.008


# -- filters


def some_filter(dice: random.Random, depth: int = DEPTH, faulty: float = FAULTY) -> dict[Any, Any]:
    """Mostly a filter; ``faulty`` is how likely each member is to be none."""
    source: dict[Any, Any] = {}
    for _ in range(dice.choice((1, 1, 1, 1, 1, 1, 2, 2, 3)) if dice.random() > 0.01 else 0):
        if dice.random() < faulty:
            source.update(some_fault(dice))
        elif depth and dice.random() < 0.45:
            source.update(some_connective(dice, depth - 1, faulty))
        else:
            source.update(some_member(dice))
    return source


def some_connective(dice: random.Random, depth: int, faulty: float = FAULTY) -> dict[str, Any]:
    name = dice.choice(("$and", "$or", "$or", "$or", "$not"))
    if name == "$not":
        return {name: some_filter(dice, depth, faulty)}
    parts = [some_filter(dice, depth, faulty) for _ in range(dice.choice((1, 2, 2, 3)))]
    return {name: tuple(parts) if dice.random() < 0.1 else parts}


def some_member(dice: random.Random) -> dict[str, Any]:
    """A field and what is wanted of it, in one of the three ways to say so."""
    fields = BY_THE_WAY if dice.random() < 0.05 else FIELDS
    field = dice.choice(list(fields))
    kind = fields[field]
    roll = dice.random()
    if roll < 0.1:
        return {field: some_constant(dice, kind)}
    if roll < 0.22:
        return {field: some_constants(dice, kind)}
    names = dice.choices(APT[kind], k=dice.choice((1, 1, 1, 1, 2)))
    if kind != "id" and dice.random() < 0.1:
        names.append(dice.choice(OPERATORS))
    return {field: {name: some_operand(dice, name, kind) for name in names}}


def some_operand(dice: random.Random, name: str, kind: str) -> Any:
    if name in ("$in", "$nin"):
        return some_constants(dice, kind)
    if name in ORDER:
        return dice.choice(BOUNDS)
    if name == "$exists":
        return dice.random() < 0.5
    if name in ("$prefix", "$contains"):
        return dice.choice(PIECES)
    if name == "$regex":
        return dice.choice(PATTERNS)
    return some_constant(dice, kind)


def some_constant(dice: random.Random, kind: str) -> Any:
    if kind == "id" and dice.random() < 0.1:
        return None
    return dice.choice(KINDS[kind] if kind == "id" or dice.random() < 0.85 else SCALARS)


def some_constants(dice: random.Random, kind: str) -> Any:
    constants = [some_constant(dice, kind) for _ in range(dice.choice((1, 2, 3, 4, 5, 6)))]
    return tuple(constants) if dice.random() < 0.2 else constants


def some_fault(dice: random.Random) -> dict[Any, Any]:
    """A member that no filter may have."""
    roll = dice.random()
    if roll < 0.25:
        return {dice.choice(BAD_PATHS): 1}
    if roll < 0.75:
        return {dice.choice(list(FIELDS)): dice.choice(BAD_WANTED)}
    return dict(dice.choice(BAD_MEMBERS))


# -- messages


def some_message(dice: random.Random) -> dict[str, Any]:
    if dice.random() < 0.05:
        return {name: some_thing(dice, 4) for name in SHAPE if dice.random() < 0.7}
    return some_object(dice, SHAPE)


def some_derived(dice: random.Random) -> dict[str, Any]:
    return some_object(dice, DERIVED)


def some_object(dice: random.Random, shape: dict[str, Any]) -> dict[str, Any]:
    return {name: some_part(dice, kind) for name, kind in shape.items() if dice.random() < 0.9}


def some_part(dice: random.Random, kind: Any) -> Any:
    """What stands in a field: the object or a value of this kind, several of them in a list, or else."""
    if isinstance(kind, str):
        return some_value(dice, kind)
    roll = dice.random()
    if roll < 0.7:
        return some_object(dice, kind)
    if roll < 0.97:
        parts = [some_part(dice, kind) for _ in range(dice.randrange(4))]
        return some_list(dice, parts if roll < 0.9 else [5, *parts])
    return some_thing(dice, 3)


def some_value(dice: random.Random, kind: str) -> Any:
    roll = dice.random()
    if roll < 0.6:
        return dice.choice(KINDS[kind])
    if roll < 0.85:
        return some_list(dice, [some_part(dice, kind) for _ in range(dice.randrange(5))])
    if roll < 0.88:
        return None
    if roll < 0.94:
        return dice.choice(SCALARS)
    if roll < 0.96:
        return dice.choice(LONG_TEXTS)
    if roll < 0.975:
        return dice.choice(ODD)
    if roll < 0.98:
        return ["d"] * dice.randrange(253, 257) + [5, *dice.sample(TEXTS, 3)]
    return some_thing(dice, 3)


def some_list(dice: random.Random, parts: list[Any]) -> Any:
    """The same, as a list or a tuple, and rarely in so many more lists that nobody looks."""
    whole: Any = tuple(parts) if dice.random() < 0.2 else parts
    if dice.random() < 0.02:
        for _ in range(dice.randrange(27, 34)):
            whole = [whole]
    return whole


def some_thing(dice: random.Random, depth: int) -> Any:
    """Anything at all, with names that the paths of filters have."""
    roll = dice.random()
    if depth == 0 or roll < 0.4:
        return dice.choice(ODD if dice.random() < 0.1 else SCALARS)
    if roll < 0.7:
        return some_list(dice, [some_thing(dice, depth - 1) for _ in range(dice.randrange(4))])
    names = [name for path in FIELDS for name in path.split(".")]
    return {dice.choice(names): some_thing(dice, depth - 1) for _ in range(dice.randrange(5))}
