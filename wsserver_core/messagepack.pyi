from typing import Final

MAX_DEPTH: Final = 32
