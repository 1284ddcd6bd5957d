"""Judge the journals of a folder: ``python -m laws FOLDER [REASON ...]``, from within ``tests``.

Each reason is one for which clients may have been told of a loss. Exits with 1 if a law was broken.
"""

import sys
from pathlib import Path

from laws.evidence import Evidence
from laws.journal import read_journals
from laws.laws import Terms, check


def main(folder: str, *reasons: str) -> int:
    evidence = Evidence(read_journals(Path(folder)))
    violations = check(evidence, Terms(gaps=frozenset(reasons)))
    for violation in violations:
        print(violation)
    print(
        f"{evidence.lines} lines, {len(evidence.clients)} clients,"
        f" {len(evidence.publications)} messages, {len(evidence.acked)} of them acknowledged:"
        f" {len(violations)} violations"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
