from typing import Final

MIN_SAMPLES: Final = 16
