def nests_deeper(text: bytes | bytearray | memoryview, limit: int) -> bool:
    """Whether objects and arrays stand inside one another more than ``limit`` deep.

    Looks at brackets outside strings only, in one pass over at most all of the text. For
    text that is not JSON the answer means nothing: the decoder will refuse it anyway.
    """
