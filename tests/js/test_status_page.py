"""The scripts of the status page in the eyes of the TypeScript compiler."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from declarations import HERE, copy_client, run_compiler

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
    "noEmit": True,
}


def test_the_compiler_finds_no_fault_in_it(node: Path, npm_tool: ToolFinder, tmp_path: Path) -> None:
    tsc = npm_tool("tsc")
    # Side by side, as they are served.
    copy_client(tmp_path / "client")
    shutil.copytree(PAGE, tmp_path / "status", ignore=shutil.ignore_patterns("vendor"))
    shutil.copy(HERE / "node_modules" / "uplot" / "dist" / "uPlot.d.ts", tmp_path / "status")
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "include": ["status"]}))
    try:
        run_compiler(node, tsc, tmp_path)
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stdout) from None


def test_uplot_is_the_one_of_npm(npm_tool: ToolFinder) -> None:
    npm_tool("tsc")
    published = HERE / "node_modules" / "uplot"
    assert json.loads((published / "package.json").read_text())["version"] == "1.6.32"
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert (PAGE / "vendor" / "uplot" / name).read_bytes() == (published / "dist" / name).read_bytes()
