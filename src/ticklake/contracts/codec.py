"""Records to the bytes of an object and back: NDJSON under zstd with a checksum.

Guarantee  bytes that were changed are noticed: the zstd frame carries its content's checksum and size
Raises     ObjectCorrupt
"""

from typing import Final

import zstandard

from ticklake.errors import ObjectCorrupt

LEVEL: Final = 3
MAX_OBJECT_BYTES: Final = 1 << 30
"""An object whose header claims more than this, decompressed, is not ours."""


def encode_object(records: list[bytes]) -> bytes:
    """Give the bytes of an object that holds these records, a line each."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
    return compressor.compress(b"\n".join(records) + b"\n")


def decode_object(key: str, data: bytes) -> bytes:
    """Give the NDJSON of an object. Raises ObjectCorrupt if it is not whole and unchanged."""
    try:
        if zstandard.frame_content_size(data) > MAX_OBJECT_BYTES:
            raise zstandard.ZstdError("claims too large a size")
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        lines = decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise corrupt(key, str(error)) from error
    if not decompressor.eof or decompressor.unused_data:
        raise corrupt(key, "it ends early" if not decompressor.eof else "bytes follow its end")
    if not lines.endswith(b"\n"):
        raise corrupt(key, "it ends within a line")
    return lines


def corrupt(key: str, why: str) -> ObjectCorrupt:
    """Make the error that names an object and why it is not trusted."""
    return ObjectCorrupt(
        f"the object {key} is corrupt: {why}",
        hint="restore it from a copy; or move it aside while the log still holds its records, and run ticklake land",
    )
