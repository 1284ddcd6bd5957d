"""The specification's names, in a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ALIAS = "from wsserver.compat import install_app_alias\ninstall_app_alias()\n"


def run(script: str, folder: Path) -> str:
    """What the script prints; it runs with ``folder`` before this repository on its path."""
    paths = f"import sys\nsys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", paths + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_examples_imports_mean_our_modules(tmp_path: Path) -> None:
    script = ALIAS + (
        "install_app_alias()\n"
        "from app.websocket.connection_manager import connection_manager\n"
        "from app.websocket.subscription_manager import subscription_manager\n"
        "import app.websocket.health_monitor, app.websocket.filter_engine, app.websocket\n"
        "import wsserver.connection_manager as ours\n"
        "assert connection_manager is ours.connection_manager\n"
        "assert subscription_manager is connection_manager.subscription_manager\n"
        "assert app.websocket.connection_manager is ours\n"
        "print(sorted(name for name in sys.modules if name.startswith('app')))\n"
    )
    names = ["connection_manager", "filter_engine", "health_monitor", "subscription_manager"]
    expected = ["app", "app.websocket", *(f"app.websocket.{name}" for name in names)]
    assert run(script, tmp_path) == str(expected)


def test_without_the_alias_there_is_no_such_package(tmp_path: Path) -> None:
    script = (
        "import wsserver.connection_manager\n"
        "try:\n    import app.websocket\nexcept ModuleNotFoundError as missing:\n    print(missing.name)\n"
    )
    assert run(script, tmp_path) == "app"


def test_the_logger_of_the_examples_is_ours(tmp_path: Path) -> None:
    script = ALIAS + (
        "import logging\n"
        "logging.getLogger('app.websocket').setLevel(logging.DEBUG)\n"
        "assert logging.getLogger('app.websocket') is logging.getLogger('wsserver')\n"
        "assert logging.getLogger('app.websocket.mine').parent is logging.getLogger('wsserver')\n"
        "print(logging.getLogger('wsserver.router').getEffectiveLevel())\n"
    )
    assert run(script, tmp_path) == "10"


def test_an_app_of_the_callers_own_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("mine = 1\n")
    (tmp_path / "app" / "models.py").write_text("name = 'models'\n")
    script = ALIAS + (
        "import app, app.models\n"
        "from app.websocket.connection_manager import connection_manager\n"
        "print(app.mine, app.models.name)\n"
    )
    assert run(script, tmp_path) == "1 models"


@pytest.mark.parametrize("imported", [True, False])
def test_an_app_websocket_of_the_callers_own_is_never_hidden(tmp_path: Path, imported: bool) -> None:
    (tmp_path / "app" / "websocket").mkdir(parents=True)
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "websocket" / "__init__.py").write_text("mine = 1\n")
    script = ("import app.websocket\n" if imported else "") + (
        "from wsserver.compat import install_app_alias\n"
        "try:\n    install_app_alias()\nexcept ImportError as error:\n    print(error)\n"
        "import app.websocket\nassert app.websocket.mine\n"
    )
    assert run(script, tmp_path) == "app.websocket exists already and is not wsserver's"


def test_a_module_named_app_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine = 1\n")
    script = (
        ALIAS
        + "from app.websocket.connection_manager import connection_manager\nimport app\nprint(app.mine)\n"
    )
    assert run(script, tmp_path) == "1"


def test_a_broken_app_is_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import no_such_module\n")
    script = (
        "from wsserver.compat import install_app_alias\n"
        "try:\n    install_app_alias()\nexcept ModuleNotFoundError as missing:\n    print(missing.name)\n"
        "assert 'app' not in sys.modules\n"
    )
    assert run(script, tmp_path) == "no_such_module"
