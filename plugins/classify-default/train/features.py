"""The features of a prompt, exactly as `src/features.rs` computes them. Never trains anything."""

BUCKETS = 4096
HEAD_BYTES = 768
TAIL_BYTES = 256
FNV_OFFSET = 0x811C9DC5
FNV_PRIME = 0x01000193
FIRST_WORDS = 4
MARKS = (b"```", b"?", b"def ", b"();", b"{", b"\\", b"$", b"\n- ", b"(a)", b".csv", b"http")


def window(data: bytes) -> bytes:
    """The first and the last bytes; a longer text is known by both of its ends."""
    if len(data) <= HEAD_BYTES + TAIL_BYTES:
        return data
    return data[:HEAD_BYTES] + b"\n" + data[-TAIL_BYTES:]


def mix(seed: int, data: bytes) -> int:
    for byte in data:
        seed = ((seed ^ byte) * FNV_PRIME) & 0xFFFFFFFF
    return seed


def bucket(value: int) -> int:
    return (value ^ (value >> 15)) % BUCKETS


def is_word(byte: int) -> bool:
    return byte >= 0x80 or chr(byte).isalnum()


def words(data: bytes):
    start = None
    for index, byte in enumerate(data):
        if is_word(byte):
            if start is None:
                start = index
        elif start is not None:
            yield data[start:index]
            start = None
    if start is not None:
        yield data[start:]


def shape(data: bytes):
    """Marks of the text's form, as small words of their own."""
    length = len(data)
    yield b"#length%d" % min(length.bit_length(), 16)
    yield b"#lines%d" % min(data.count(b"\n").bit_length(), 8)
    digits = sum(48 <= byte <= 57 for byte in data)
    yield b"#digits%d" % min(digits.bit_length(), 8)
    for mark in MARKS:
        if mark in data:
            yield b"#has" + mark


def features(text: str) -> list[int]:
    """Sorted, distinct bucket numbers."""
    data = window(text.encode()).lower()
    found = set()
    for index, word in enumerate(words(data)):
        value = mix(FNV_OFFSET, word)
        found.add(bucket(value))
        if index < FIRST_WORDS:
            found.add(bucket(mix(value, b"^")))
    found.update(bucket(mix(FNV_OFFSET, mark)) for mark in shape(data))
    return sorted(found)
