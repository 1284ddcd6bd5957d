"""The scripts of the status page in the eyes of the TypeScript compiler."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from declarations import HERE, copy_client, run_compiler

from wsserver.web.lean_script import lean_script

ToolFinder = Callable[[str], Path]

PAGE = HERE.parents[1] / "wsserver" / "web" / "status_page"

# As in tsconfig.json, and with uPlot as a script gives it: a name that is there.
OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "strict": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "noImplicitReturns": True,
    "noFallthroughCasesInSwitch": True,
    "target": "es2023",
    "module": "es2022",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "allowUmdGlobalAccess": True,
    "rootDir": ".",
    "noEmit": True,
}


def lay_out(folder: Path, **options: object) -> None:
    """The page as it is served, with the client beside it."""
    shutil.copytree(PAGE, folder / "status", ignore=shutil.ignore_patterns("vendor"))
    copy_client(folder / "status" / "client")
    shutil.copy(HERE / "node_modules" / "uplot" / "dist" / "uPlot.d.ts", folder / "status")
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": {**OPTIONS, **options}, "include": ["status"]})
    )


def test_the_compiler_finds_no_fault_in_it(node: Path, npm_tool: ToolFinder, tmp_path: Path) -> None:
    tsc = npm_tool("tsc")
    lay_out(tmp_path)
    try:
        run_compiler(node, tsc, tmp_path)
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stdout) from None


def test_the_lean_scripts_are_the_same_programs(node: Path, npm_tool: ToolFinder, tmp_path: Path) -> None:
    tsc, programs = npm_tool("tsc"), {}
    for form in ("whole", "lean"):
        folder = tmp_path / form
        lay_out(folder, noEmit=False, removeComments=True, outDir="made", checkJs=False)
        if form == "lean":
            for script in (folder / "status").rglob("*.js"):
                script.write_text(lean_script(script.read_text()))
        run_compiler(node, tsc, folder)
        made = (folder / "made").rglob("*.js")
        programs[form] = {path.relative_to(folder).as_posix(): path.read_text().split() for path in made}
    assert programs["lean"] == programs["whole"]
    assert len(programs["lean"]) > 60


def test_uplot_is_the_one_of_npm(npm_tool: ToolFinder) -> None:
    npm_tool("tsc")
    published = HERE / "node_modules" / "uplot"
    assert json.loads((published / "package.json").read_text())["version"] == "1.6.32"
    name = "uPlot.iife.min.js"
    assert (PAGE / "vendor" / "uplot" / name).read_bytes() == (published / "dist" / name).read_bytes()
