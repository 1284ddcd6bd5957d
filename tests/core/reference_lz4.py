"""The slow, obvious twin of the check of LZ4 blocks: a decoder straight from the format's description.

The rules about the last bytes of a block, which only help fast decoders, are left to the lz4 package.
"""


class BlockFault(ValueError):
    """The block breaks off, or refers to what is not there."""


def decompress(block: bytes) -> bytes:
    """The text of a block. Raises BlockFault."""
    at = 0
    text = bytearray()

    def take(count: int) -> bytes:
        nonlocal at
        if count > len(block) - at:
            raise BlockFault
        at += count
        return block[at - count : at]

    def length(nibble: int) -> int:
        total = nibble
        while nibble == 15:
            (byte,) = take(1)
            total += byte
            if byte != 255:
                break
        return total

    while True:
        (token,) = take(1)
        text += take(length(token >> 4))
        if at == len(block):
            return bytes(text)
        offset = int.from_bytes(take(2), "little")
        if not 0 < offset <= len(text):
            raise BlockFault
        for _ in range(4 + length(token & 15)):
            text.append(text[-offset])
