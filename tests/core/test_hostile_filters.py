"""Filters meant to do harm: each is refused, or harmless.

Whatever a filter is, compiling it ends with a program or with FilterError and with nothing else,
and a program answers for every message. How long that takes is measured by the long test only.
"""

import datetime
import decimal
import fractions
import random
import string
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsserver_core.filters import FilterError, FilterLimits, Program, compile_filter

pytestmark = pytest.mark.core

LIMITS = FilterLimits()
MAX_COMPILE_SECONDS = 0.010
MAX_MATCH_SECONDS = 0.001
REPEATS = 3

Named = Iterator[tuple[str, Any]]


# -- patterns


PATTERNS = [
    # Time: quantifiers inside quantifiers, and alternatives that overlap.
    r"[0-4][\x00-\x7f]{390}!", r"[0-4].{40}!", r"\d.{40}!", "[[:upper:]].{40}!",
    r"\x31.{40}!", "[0-3][a-z0-9.,]{75}!", "[#-]*#[#-]{90}z", "(?:-|#)*-(?:-|#){90}z", "[^z]*-[^z]{25}z",
    "(a+)+$", "(a*)*$", "(a|a)*$", "(a|aa)+$", "(a?a?)*$", "(.*a){20}", "(.*)(.*)(.*)(.*)(.*)b", "(a+a+)+b",
    "((a+)+)+b", "(((a*)*)*)*b", "([a-z]+)*[A-Z]", "(.*?,){25}b", "(x+x+)+y", "(a|b|ab)*c",
    "^(([a-z])+.)+[A-Z]",
    "a*a*a*a*a*a*a*a*a*a*b", ".*.*.*.*.*.*.*.*.*=", "(?:a?){200}a{200}", "(?:a?){30}a{30}", "(?:a*){100}b",
    "(?s).*a.{30}", ".*a.{20}$", "a.{60}b", "(a|b)*a(a|b){12}", "(?:a|b)*a(?:a|b){60}", "[ab]*a[ab]{90}",
    "(.?){80}", r"(\w+\s?)+$", "(?:(?:a{0,5}){0,5}){0,5}b", "(?i)(?:k|s|\u212a|\u017f)*b", "(^|a)+b",
    r"(\b|a)*c",
    "(|a)+", "(a||b)*c", "()*", "(()|a)+b", "(?:){1000}", "(?:(?:){1000}){1000}", "(?:a{0}){1000}",
    "(a*?)*?b",
    # The same of signs that are no letters.
    "[#-]*#[#-]{90}z", "(?:-|#)*-(?:-|#){90}z", "[^z]*-[^z]{25}z", "[!-/]*#[!-/]{40}", "(#+)+$",
    # Memory: counted repetitions of much.
    ".{0,1000}.{0,1000}", ".{1000}", r"\pL{500}", r"\pL{10}", r"\pL", r"\PL+", r"[\pL\pN]{100}",
    r"(?i)\pL{99}",
    "(?:a{1000}){1000}", "((a{30}){30}){30}", "a{1000}a{1000}", "(?:.{0,99}){0,9}", "[^\\x00]{1000}",
    "[\u0100-\U0010ffff]{300}", "(?i)[\u0100-\U0010ffff]{99}", "x{1001}", "x{0,99999999999}",
    "x{99999999999999999999}",
    "x{-1}", "x{2,1}", "x{,5}", "a**", "a+++", "a{2}{3}{4}{5}", "(?:a{1,1000})", "((((a{9}){9}){9}){9}){9}",
    r"\C{500}",
    # What RE2 does not know, or nobody.
    r"(a)\1", r"\1", r"(?P<n>a)(?P=n)", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a+)", "a++", r"\K",
    "(?R)",
    "(?1)", "(?(1)a|b)", "(?#comment)", r"\Ga", r"\Za", r"\X", r"\R", "(?C1)", "(*ACCEPT)",
    "(*LIMIT_MATCH=1)a",
    "(?x) a b", "(?L)a", "(?u)a", "(?a)a", "(?P<n>a)(?P<n>b)", "(?P<>a)", "(?P<1>a)", "(?z)", "(?i", "(?-)",
    "(?ii-s:",
    # Brackets without their other half.
    "(", ")", "[", "]", "{", "}", "(" * 100, ")" * 100, "[" * 100, "(((a)", "a)", "[a", "[^]", "[]", "[]a",
    "[z-a]",
    "[a-", "[[:foo:]]", "[[:alpha:]", "[[.a.]]", "(" * 120 + ")" * 120, "(?:" * 60 + ")" * 60,
    "[" + "a-" * 99,
    # Escapes.
    "\\", "\\" * 3, r"\x", r"\x{", r"\x{110000}", r"\x{ffffffffff}", r"\xzz", r"\u0041", r"\N{DIGIT ONE}",
    r"\p",
    r"\p{", r"\p{Nonsense}", r"\pX", r"\P{^Greek}", r"\Q" + "(" * 200, r"\Qa\E" * 30, r"\c", r"\8",
    r"\777777", r"\0",
    # Characters that end, hide or turn around text.
    "\0", "a\0b", r"\x00", "(\0)", "[\0-\x1f]", "\ud800", "a\udfff", "\ufeff", "\u202e", "\uffff",
    "\U0010ffff",
    "\x7f\x80\xff", "\r\n", "%s%n%x", "${jndi:ldap://x}", "'; DROP TABLE x; --", "", " ", "^", "$", "^$", "|",
    "||||",
    "a|", "^*", "$*", "(?m)^*", r"\b*", r"\A\z", r"(?m)(^$)*",
]  # fmt: skip


def single_patterns() -> Named:
    for number, pattern in enumerate(PATTERNS):
        yield f"pattern {number} {pattern[:20]!r}", {"a": {"$regex": pattern}}


def patterns_of_many_alternatives() -> Named:
    for count in (10, 60, 120, 10_000):
        yield (
            f"{count} alternatives",
            {"a": {"$regex": "|".join("ab"[number % 2] for number in range(count))}},
        )
    words = "|".join(a + b for a in string.ascii_lowercase for b in "xyz")
    yield "78 words", {"a": {"$regex": f"({words[:250]})+$"}}
    yield "alternatives of repetitions", {"a": {"$regex": "|".join(f"(a+){{{n}}}b" for n in range(1, 25))}}
    yield "alternatives that begin alike", {"a": {"$regex": "|".join("a" * n + "b" for n in range(1, 21))}}


def many_patterns() -> Named:
    """One is harmless; a filter holds up to 64 of them."""
    for name, shape in {
        "words": "word{0}", "repetitions": "(a+)+{0}$", "counted": "a.{{12}}{0}b", "dots": ".*{0}.*{0}.*b",
        "optional": "(?:a?){{20}}a{{20}}{0}", "classes": "[a-z]{{9}}[{0}-9]{{9}}", "wide": "(?i)[^{0}]{{9}}b",
    }.items():  # fmt: skip
        for count in (8, 63, 64):
            fields = [{"a": {"$regex": shape.format(number % 10) + f"|{number}z"}} for number in range(count)]
            yield f"{count} patterns of {name} in $or", {"$or": fields}
    yield "64 patterns on 64 fields", {f"k{number}": {"$regex": f"(a|b)*{number}$"} for number in range(64)}
    yield "63 patterns in $and", {"$and": [{"a": {"$regex": f"(?i)(a+)+[^{n}]?$"}} for n in range(63)]}


# -- shapes


def nested(name: str, levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = {name: inner if name == "$not" else [inner]}
    return inner


def deep_filters() -> Named:
    for name in ("$and", "$or", "$not"):
        for levels in (7, 8, 9, 1_000, 100_000):
            yield f"{name} {levels:,} levels deep", nested(name, levels, {"a": "a"})
    for levels in (1_000, 100_000):
        yield f"a list {levels:,} levels deep", {"a": nested_list(levels)}
        yield f"$in a list {levels:,} levels deep", {"a": {"$in": nested_list(levels)}}
        yield f"$or a list {levels:,} levels deep", {"$or": nested_list(levels)}
        yield f"an object {levels:,} levels deep", nested_object("a", levels)
        yield f"$eq {levels:,} levels deep", {"a": nested_object("$eq", levels)}
        yield f"a path of {levels:,} names", {".".join(["a"] * levels): "a"}
    yield "a list that holds itself", {"a": LOOP}
    yield "$or of a list that holds itself", {"$or": LOOP}
    yield "a filter that is its own $not", RING
    yield "a filter of itself many times over", WEB


def nested_list(levels: int) -> Any:
    inner: Any = "a"
    for _ in range(levels):
        inner = [inner]
    return inner


def nested_object(name: str, levels: int) -> Any:
    inner: Any = "a"
    for _ in range(levels):
        inner = {name: inner}
    return inner


LOOP: list[Any] = ["a"]
LOOP.append(LOOP)
RING: dict[str, Any] = {"a": "a"}
RING["$not"] = RING
WEB: dict[str, Any] = {}
WEB["$or"] = [WEB] * 200


def wide_filters() -> Named:
    for count in (64, 65, 100_000):
        yield f"{count:,} members", {f"k{number}": number for number in range(count)}
        yield f"{count:,} operators", {"a": {f"$k{number}": number for number in range(count)}}
        yield f"{count:,} names in an object", {"a": {f"k{number}": number for number in range(count)}}
    for count in (256, 257, 10_000, 100_000):
        for name in ("$in", "$nin"):
            yield f"{name} of {count:,} numbers", {"a": {name: list(range(count))}}
        yield f"a tuple of {count:,} times the same", {"a": ("a",) * count}
        yield f"$or of {count:,} empty filters", {"$or": [{}] * count}
        yield f"$and of {count:,} empty filters", {"$and": [{}] * count}
    for name in ("$and", "$or"):
        yield f"{name} of 10,000 filters", {name: [{"a": number} for number in range(10_000)]}
    for name in ("$and", "$or", "$not"):
        yield f"a broad tree of {name}", broad("$and" if name == "$not" else name, name == "$not")
    yield (
        "$or of $and of $or, as many as can be",
        {"$or": [{"$and": [{"$or": [{"a": n}, {"a": {"$gt": n}}]}, {"a": {"$ne": "b"}}]} for n in range(12)]},
    )
    yield (
        "as many combinations as can be",
        {"$and": [{"$or": [{"a": f"{n}"}, {"a.b": f"{n}"}, {"k": f"{n}"}]} for n in range(15)]},
    )
    yield "64 fields at 8 names each", {f"a.b.c.d.e.f.g.k{number}": "a" for number in range(64)}


def broad(name: str, negated: bool) -> Any:
    """As many empty lists of filters as the bounds let pass: 63 connectives of 256 filters each."""
    empty = {"$not": {}} if negated else {}
    return {name: [{name: [empty] * 256} for _ in range(31 if negated else 63)] + [{}] * 190}


def huge_texts() -> Named:
    for size in (4_000, 4_096, 65_536, 1_048_576):
        for letter in ("a", "\0", '"', "\N{GRINNING FACE}"):
            text = letter * size
            yield f"{size:,} times {letter!a} wanted", {"a": text}
            yield f"{size:,} times {letter!a} in 8 connectives", nested("$or", 8, {"a": text, "b": 1})
        text = "a" * size
        for name in ("$eq", "$ne", "$prefix", "$contains", "$regex", "$gt", "$exists", "$in"):
            yield f"{name} of {size:,} letters", {"a": {name: text}}
        yield f"$in of 256 times {size:,} letters", {"a": [text] * 255 + [text + "b"]}
        yield f"a name of {size:,} letters", {text: "a"}
        yield f"a name of {size:,} dots", {"." * size: "a"}
        yield f"an operator of {size:,} letters", {"a": {"$" + text: "a"}}
        yield f"an operator of {size:,} letters at the top", {"$" + text: "a"}
        yield f"a wrong value at a name of {size:,} letters", {text: {"$gt": "a"}}
    yield "64 operators on a name of 500 letters", {"a" * 500: {"$gt": 1, "$lt": 2, "$ne": 3, "$nin": [4, 5]}}


# -- names and types


NAMES = [
    "$where", "$expr", "$function", "$eval", "$accumulator", "$regexMatch", "$options", "$lookup",
    "$jsonSchema",
    "$text", "$near", "$mod", "$all", "$size", "$elemMatch", "$type", "$nor", "$comment", "$", "$$", "$$ROOT",
    "$or.$and",
    "$AND", "$Or", "$not ", " $not", "$not\0", "\uff04not", "$\u200bnot", "__class__", "__class__.__mro__",
    "__dict__",
    "__proto__", "__proto__.polluted", "constructor", "constructor.prototype", "toString", "hasOwnProperty",
    "__init__",
    "__getattr__", "__reduce__", "a.__class__", "a.constructor.constructor", "a[0]", "a/b", "/a", "../a",
    "a\0", "\0",
    "", ".", "..", "a.", ".a", " ", "\n", "\ud800", "a.\udfff", "\u202ea", "%00", "{0.__class__}", "%(a)s",
    "a.0", "a.-1",
    "a.length", "length", "*", "a.*", "**", "#", "@", "patient_id.", "patient_id.patient_id", "_meta", "self",
    "None",
]  # fmt: skip


def strange_names() -> Named:
    for name in NAMES:
        yield f"the name {name!a}", {name: "a"}
        yield f"the operator {name!a}", {"a": {name: "a"}}
    for key in (
        None,
        True,
        5,
        5.5,
        b"a",
        (),
        ("a",),
        frozenset("a"),
        float("nan"),
        object,
        datetime.date(2020, 1, 1),
    ):
        yield f"the key {key!a}", {key: "a"}
        yield f"the operator and key {key!a}", {"a": {key: "a"}}


OPERATORS = ["$eq", "$ne", "$in", "$nin", "$gt", "$lte", "$exists", "$prefix", "$contains", "$regex"]
OPERANDS: list[Any] = [
    None, True, 0, -1, 1.5, float("nan"), float("inf"), 2**53 + 1, 10**4000, "", "a", "\ud800", b"a", [],
    [[]], [{}],
    [None], (), {}, {"$eq": 1}, {"$regex": "a"}, {"a": 1},
]  # fmt: skip
STRANGE: list[Any] = [
    bytearray(b"a"), memoryview(b"a"), {1}, frozenset({1}), range(5), deque([1]), 1j, decimal.Decimal(1),
    object(),
    fractions.Fraction(1, 2), datetime.date(2020, 1, 1), int, len, NotImplemented, ..., iter([1]),
    ValueError("a"),
    decimal.Decimal("NaN"), {}.items(), {"a": 1}.keys(), (one for one in [1]), string.Template("a"),
]  # fmt: skip


def wrong_types() -> Named:
    for operator in OPERATORS:
        for number, operand in enumerate(OPERANDS):
            yield f"{operator} of operand {number}", {"a": {operator: operand}}
    for field in ("patient_id", "a.user_id"):
        for number, operand in enumerate(OPERANDS):
            yield f"operand {number} for {field}", {field: operand}
            yield f"$in of operand {number} for {field}", {field: {"$in": [operand]}}
    for number, thing in enumerate(STRANGE):
        kind = f"{number} {type(thing).__name__}"
        yield f"{kind} wanted", {"a": thing}
        yield f"{kind} in a list", {"a": ["a", thing]}
        yield f"{kind} as a bound", {"a": {"$gt": thing}}
        yield f"{kind} as a pattern", {"a": {"$regex": thing}}
        yield f"{kind} as alternatives", {"$or": thing}
        yield f"{kind} as an alternative", {"$or": [{"a": 1}, thing]}
        yield f"{kind} negated", {"$not": thing}
        yield f"{kind} as a filter", thing
    for name in ("$and", "$or", "$not"):
        for number, operand in enumerate(OPERANDS):
            yield f"{name} of operand {number}", {name: operand}
            yield f"{name} of operand {number} in a field", {"a": {name: operand}}


def numbers_at_the_edge() -> Named:
    for number in (
        2**53,
        -(2**53),
        2**63,
        2**64,
        -(2**63) - 1,
        10**4299,
        1e308,
        5e-324,
        -0.0,
        1e22,
        123456789.123456789,
    ):
        for operator in ("$eq", "$nin", "$gt", "$lte"):
            operand = [number, "a"] if operator == "$nin" else number
            yield f"{operator} {str(number)[:25]}", {"a": {operator: operand}}


FAMILIES: list[Callable[[], Named]] = [
    single_patterns, patterns_of_many_alternatives, many_patterns, deep_filters, wide_filters, huge_texts,
    strange_names, wrong_types, numbers_at_the_edge,
]  # fmt: skip


# -- messages


def messages() -> dict[str, dict[str, Any]]:
    """All but the one of 1 MiB are within 64 KiB."""
    dice = random.Random(4)
    deep: Any = ["a", "b" * 100]
    for _ in range(1_000):
        deep = [deep, "a"]
    thirty: Any = [{"a": "a" * 50, "b": n} for n in range(200)]
    for _ in range(28):
        thirty = [thirty]
    # Texts that are all different, and still fewer than 64 KiB.
    texts = [chr(97 + number % 26) + chr(0x100 + number // 26) for number in range(10_000)]
    return {
        "4 KiB of text": {"a": "a" * 4096, "k": 5},
        "64 KiB of text": {"a": "a" * 65_000, "patient_id": "a"},
        "1 MiB of text": {"a": "a" * (1 << 20)},
        "10,000 texts": {"a": texts},
        "60 texts of signs": {"a": ["".join(dice.choices("#-", k=1024)) for _ in range(60)]},
        "60 texts of letters": {"a": ["".join(dice.choices("ab", k=1024)) for _ in range(60)]},
        "lists in lists": {"a": {"a": deep, "b": thirty}, "k1": thirty},
    }


MESSAGES = messages()


def compiled(source: Any) -> Program | None:
    try:
        return compile_filter(source, LIMITS)
    except FilterError as fault:
        assert fault.reason  # noqa: PT017 - whether it raises is open
        return None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_hostile_filter_is_refused_or_answers_for_every_message(family: Callable[[], Named]) -> None:
    taken = refused = 0
    for name, source in family():
        program = compiled(source)
        if program is None:
            refused += 1
            continue
        taken += 1
        for message in MESSAGES.values():
            assert program.matches(message, {}) in (True, False), name
    # A family of which nothing is taken, or all, tests less than it seems to.
    assert min(taken, refused) > 0


def test_there_are_many_hostile_filters() -> None:
    names = [name for family in FAMILIES for name, _ in family()]
    assert len(names) > 1_000
    assert len(names) == len(set(names))


def test_patterns_of_random_signs_are_refused_or_answer_for_every_message() -> None:
    dice = random.Random(3)
    signs = [
        *r"()[]{}|*+?.^$\-,ab019",
        "(?",
        r"\p",
        r"\x",
        "{2}",
        "[^",
        "(?i)",
        "\0",
        "é",
        "\N{GRINNING FACE}",
    ]
    for _ in range(2_000):
        program = compiled({"a": {"$regex": "".join(dice.choices(signs, k=dice.randrange(1, 30)))}})
        if program is not None:
            assert program.matches(MESSAGES["4 KiB of text"], {}) in (True, False)


# -- time


def best(act: Callable[..., object], *arguments: object) -> float:
    """The least that it took: of what the machine does besides, most is left out."""
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act(*arguments)
        spent.append(time.perf_counter() - began)
    return min(spent)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_hostile_filter_takes_no_more_than_a_moment(family: Callable[[], Named]) -> None:
    ordinary = {name: message for name, message in MESSAGES.items() if name != "1 MiB of text"}
    slow = []
    for name, source in family():
        spent = best(compiled, source)
        if spent > MAX_COMPILE_SECONDS:
            slow.append(f"{name}: {spent * 1e3:.1f} ms to compile")
        program = compiled(source)
        for kind, message in ordinary.items() if program else ():
            spent = best(program.matches, message, {})
            if spent > MAX_MATCH_SECONDS:
                slow.append(f"{name}: {spent * 1e3:.1f} ms for {kind}")
    assert not slow, "\n".join(slow)
