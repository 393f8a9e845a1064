"""Known binary formats: told by their first bytes, so that no one trains on them by mistake.

Only signatures that no text begins with: they hold bytes that no text has, or are long. (Libraries
for this, `filetype` and `puremagic`, take a text that begins with BM for a picture.)
"""

import re

import google_crc32c

HEAD_BYTES = 512  # of a file, enough to tell what it is

_SIGNATURES = (
    ("a ZIP archive (as .docx, .epub, .jar and .npz are)", rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
    ("a tar archive", rb".{257}ustar"),
    ("a 7z archive", rb"7z\xbc\xaf\x27\x1c"),
    ("a RAR archive", rb"Rar!\x1a\x07"),
    ("a PDF document", rb"%PDF-[0-9]\.[0-9]"),
    ("an old Office document (.doc, .xls, .ppt)", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("compressed by compress (.Z)", rb"\x1f\x9d"),
    ("compressed by lz4", rb"\x04\x22\x4d\x18"),
    ("compressed by lzip", rb"LZIP\x01"),
    ("compressed by lzop", rb"\x89LZO\x00"),
    ("compressed by snappy", rb"\xff\x06\x00\x00sNaPpY"),
    ("a NumPy array", rb"\x93NUMPY"),
    ("an HDF5 file (.h5)", rb"\x89HDF\r\n\x1a\n"),
    ("a Python pickle", rb"\x80[\x02-\x05]"),
    ("a Python module, compiled (.pyc)", rb".[\x0c-\x0f]\r\n[\x00-\x03]\x00{3}"),
    ("a SQLite database", rb"SQLite format 3\x00"),
    ("an Arrow file (.arrow, .feather)", rb"ARROW1\x00\x00"),
    ("an Arrow stream", rb"\xff{4}.{2}\x00{2}\x10\x00{3}"),
    ("an Avro file", rb"Obj\x01"),
    ("weights of a model (.safetensors)", rb".{4}\x00{4}\{\""),
    ("weights of a model (.gguf)", rb"GGUF[\x01-\x0f]\x00{3}"),
    ("a picture (PNG)", rb"\x89PNG\r\n\x1a\n"),
    ("a picture (JPEG)", rb"\xff\xd8\xff"),
    ("a picture (GIF)", rb"GIF8[79]a.[\x00-\x08].[\x00-\x08]"),
    ("a picture (TIFF)", rb"II\*\x00|MM\x00\*"),
    ("sound or pictures (RIFF)", rb"RIFF.{4}(WAVE|AVI |WEBP)"),
    ("sound (MP3)", rb"ID3[\x02-\x04]\x00"),
    ("sound (Ogg)", rb"OggS\x00"),
    ("sound (FLAC)", rb"fLaC\x00"),
    ("a film (MP4)", rb"\x00{3}.ftyp"),
    ("a film (Matroska)", rb"\x1a\x45\xdf\xa3"),
    ("a program (ELF)", rb"\x7fELF"),
    ("a program (Windows)", rb"MZ.\x00.{9}\x00"),
    ("a program (macOS)", rb"[\xce\xcf]\xfa\xed\xfe"),
    ("a Java class", rb"\xca\xfe\xba\xbe"),
    ("a font", rb"wOF[F2]\x00|\x00\x01\x00{3}|OTTO\x00"),
    ("a macOS resource file", rb"\x00\x05\x16[\x00\x07]|\x00{3}\x01Bud1"),
)  # fmt: skip
_RECORDS = "a TFRecord file (`textreel index` reads it)"
NAMES = (*(name for name, _ in _SIGNATURES), _RECORDS)
_ANY = re.compile(b"|".join(b"(?:%b)" % signature for _, signature in _SIGNATURES), re.DOTALL)
_EACH = [(name, re.compile(signature, re.DOTALL)) for name, signature in _SIGNATURES]


def binary_format(head: bytes) -> str:
    """Returns which known binary format a file is that begins so, for people; else nothing.

    Args:
        head: the first `HEAD_BYTES`, where the file has them.
    """
    if _ANY.match(head):
        return next(name for name, signature in _EACH if signature.match(head))
    return _RECORDS if _begins_record(head) else ""


def _begins_record(head: bytes) -> bool:
    """Whether a length stands there with its checksum, as before each record of a TFRecord."""
    if len(head) < 12 or head[5:8] != b"\0\0\0":
        return False
    checksum = google_crc32c.value(head[:8])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return head[8:12] == masked.to_bytes(4, "little")
