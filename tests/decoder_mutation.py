"""Mutated files of the kept corpus: each is determined by a seed and its number."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

import decoder_corpus

HEADER_BYTES = 256
TAGGED_BYTES = 4200
"""Bytes in which names are looked for; a CAF file has its samples from 4096 on."""
SOUNDS = ((0.25, 16_000), (0.1, 48_000))
"""Lengths [s] and sample rates [Hz] of the files."""
MAX_BYTES = 100_000
TAGS = (
    *(b"RIFF", b"RIFX", b"RF64", b"ds64", b"fmt ", b"fact", b"data", b"LIST", b"riff", b"wave"),
    *(b"FORM", b"COMM", b"SSND", b"FVER", b".snd", b"caff", b"desc", b"chan", b"pakt", b"kuki"),
    *(b"fLaC", b"OggS", b"vorbis", b"OpusHead", b"OpusTags", b"ID3", b"Xing", b"Info", b"\xff\xfb"),
    *(b"ftyp", b"moov", b"mvhd", b"trak", b"mdhd", b"stsd", b"stts", b"stsc", b"stsz", b"stco"),
    *(b"mdat", b"esds", b"alac", b"mp4a", b"\xff\xf1"),
)
"""Names in headers; sizes, counts and rates are near them."""
NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 9, 16, 23, 24, 255, 256, 1024, 4000, 384_000, 0x7FFF, 0x8000, 0xFFFF),
    *(0x10_0000, 0x7FFF_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF, 2**32, 2**40),
    *(2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 12_345, 2**64 - 24, 2**64 - 1),
)

Mutator = Callable[[bytearray, Random], None]


def make_input(seed: int, number: int) -> tuple[str, bytes]:
    """Return the container and the bytes of one mutated file."""
    random = Random((seed << 40) + number)
    form, data = _choose(random)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        if not data:
            break
        random.choice(MUTATORS)(data, random)
    if form == "OGG" and random.random() < 0.9:
        _correct_checksums(data)
    return form, bytes(data[:MAX_BYTES])


@cache
def names() -> dict[str, list[str]]:
    """Return the names of the files of the corpus by their containers."""
    by_form: dict[str, list[str]] = {}
    for name in decoder_corpus.names():
        by_form.setdefault(name.partition("-")[0], []).append(name)
    return by_form


def _choose(random: Random) -> tuple[str, bytearray]:
    """Choose a file of the corpus; all containers are equally frequent."""
    form = random.choice(list(names()))
    name, (seconds, rate) = random.choice(names()[form]), random.choice(SOUNDS)
    return form, bytearray(decoder_corpus.make(name, seconds, rate))


def _position(data: bytearray, random: Random) -> int:
    """Choose a position, mostly near a name in the header."""
    kind = random.random()
    if kind < 0.5:
        found = [at for tag in TAGS if (at := data.find(tag, 0, TAGGED_BYTES)) >= 0]
        if found:
            return min(len(data) - 1, random.choice(found) + random.randrange(40))
    reach = HEADER_BYTES if kind < 0.75 else len(data)
    return random.randrange(min(reach, len(data)))


def _flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        data[_position(data, random)] ^= 1 << random.randrange(8)


def _set_byte(data: bytearray, random: Random) -> None:
    data[_position(data, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))


def _set_number(data: bytearray, random: Random) -> None:
    """Write an extreme number over what may be a size, a count or a rate."""
    layout = random.choice(("<H", ">H", "<I", ">I", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(layout)
    number = random.choice(NUMBERS) & (256**size - 1)
    at = min(_position(data, random), max(0, len(data) - size))
    data[at : at + size] = struct.pack(layout, number)


def _add_to_number(data: bytearray, random: Random) -> None:
    layout = random.choice(("<I", ">I"))
    at = _position(data, random)
    if at + 4 <= len(data):
        (number,) = struct.unpack_from(layout, data, at)
        change = random.choice((-1, 1, -8, 8, -24, 100, 1 << 16, 1 << 31))
        struct.pack_into(layout, data, at, (number + change) & 0xFFFF_FFFF)


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _remove(data: bytearray, random: Random) -> None:
    at = _position(data, random)
    del data[at : at + random.choice((1, 2, 4, 8, 100, 1000))]


def _repeat(data: bytearray, random: Random) -> None:
    at = _position(data, random)
    part = data[at : at + random.choice((1, 4, 16, 200, 2000))]
    data[at:at] = part * random.choice((1, 2, 50))


def _overwrite(data: bytearray, random: Random) -> None:
    at = _position(data, random)
    size = min(random.choice((4, 16, 64, 1000)), len(data) - at)
    data[at : at + size] = random.randbytes(size)


def _splice(data: bytearray, random: Random) -> None:
    """Continue with a part of another file."""
    _, other = _choose(random)
    at, start = _position(data, random), random.randrange(len(other))
    data[at:] = other[start:]


MUTATORS: tuple[Mutator, ...] = (
    *(_flip_bits, _flip_bits, _set_byte, _set_number, _set_number, _set_number, _add_to_number),
    *(_truncate, _remove, _repeat, _overwrite, _splice),
)

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _correct_checksums(data: bytearray) -> None:
    """Correct the checksums of all pages of an Ogg file, so that decoders read the damage."""
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - 27:
        table = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(table) + sum(table)
        data[at + 22 : at + 26] = bytes(4)
        page = bytes(data[at:end]).translate(_REVERSED)
        # The checksum of Ogg is that of zlib with the bits in reverse and without inversion.
        value = zlib.crc32(page, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
        data[at + 22 : at + 26] = struct.pack("<I", int(f"{value:032b}"[::-1], 2))
        at = data.find(b"OggS", at + 4)
