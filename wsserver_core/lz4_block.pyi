from typing import Final

MAX_EXPANSION: Final = 255
