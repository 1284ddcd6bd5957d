"""The JavaScript client in the eyes of the TypeScript compiler."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from declarations import BY_HAND, CLIENT, HERE, compile_client, run_compiler

ToolFinder = Callable[[str], Path]

TYPED = HERE / "typed"
STRICT = {
    "strict": True,
    "target": "es2022",
    "module": "es2022",
    "moduleResolution": "bundler",
    "lib": ["es2022", "dom"],
    "types": [],
    "noEmit": True,
}


@pytest.fixture(scope="module")
def made(node: Path, npm_tool: ToolFinder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    try:
        return compile_client(node, npm_tool("tsc"), tmp_path_factory.mktemp("sources"))
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stdout)


@pytest.fixture
def check(node: Path, npm_tool: ToolFinder, tmp_path: Path) -> Callable[..., str]:
    """Compile a text beside the client as users have it; returns what the compiler complains of."""

    def check(text: str, **options: bool) -> str:
        tsc = npm_tool("tsc")
        for source in CLIENT.glob("*.ts"):
            shutil.copy(source, tmp_path)
        (tmp_path / "user.ts").write_text(text)
        settings = {"compilerOptions": {**STRICT, **options}, "files": ["user.ts"]}
        (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
        try:
            run_compiler(node, tsc, tmp_path)
        except subprocess.CalledProcessError as error:
            return str(error.stdout)
        return ""

    return check


def test_the_declarations_are_what_the_compiler_makes_of_the_sources(made: dict[str, str]) -> None:
    committed = {path.name: path.read_text() for path in CLIENT.glob("*.d.ts") if path.name != BY_HAND}
    assert committed == made, "python tests/js/declarations.py"


def test_the_examples_class_of_the_specification_compiles(check: Callable[..., str]) -> None:
    # It appends to what getElementById may not have found, so the compiler must not ask about null.
    assert check((TYPED / "specification-example.ts").read_text(), strictNullChecks=False) == ""


def test_the_public_face_is_typed(check: Callable[..., str]) -> None:
    assert check((TYPED / "public-face.ts").read_text()) == ""


def test_the_compiler_refuses_what_is_wrong(check: Callable[..., str]) -> None:
    text = (TYPED / "refused.ts").read_text()
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if line.startswith("service.")}
    complaints = check(text)
    refused = {int(line) for line in re.findall(r"^user\.ts\((\d+),", complaints, re.MULTILINE)}
    assert refused == wrong, complaints
