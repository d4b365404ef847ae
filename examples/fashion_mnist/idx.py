"""Reads and writes IDX, the format that the MNIST family comes in: big-endian header, then unsigned bytes."""

import gzip
import pathlib
import struct

import numpy as np

_UINT8 = 0x08


def read_idx(path):
    """The array in an IDX file of bytes, gzipped or not."""
    raw = pathlib.Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    zeros, kind, dimensions = struct.unpack_from(">HBB", raw)
    if zeros != 0 or kind != _UINT8:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def write_idx(path, array):
    array = np.ascontiguousarray(array, dtype=np.uint8)
    header = struct.pack(f">HBB{array.ndim}I", 0, _UINT8, array.ndim, *array.shape)
    pathlib.Path(path).write_bytes(header + array.tobytes())
