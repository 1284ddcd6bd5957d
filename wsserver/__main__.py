"""``python -m wsserver``."""

from wsserver.cli import main

main(prog_name="wsserver")
