"""Golden bytes of src/storage/trace_tile_test.cc: a small tile of either type, packed by hand.

Written from docs/storage_format.md, not from the C++; halves by numpy, checksums by the xxhash package. The tile is small
enough that no plane is compressed. Run: python tests/golden/trace_tiles.py
"""

import struct

import numpy as np
import xxhash

KEY = struct.pack(">QIIHII", 3, 1, 2, 4, 256, 64)  # posterior, array, dataset, chain, first slot, first draw
VALUES = np.array([[0.1, 7.123, 0.0], [2.5, 1e-6, 11.09]], dtype=np.float32)  # [slot][draw]


def tile(values, dtype):
    numbers = values.reshape(-1)
    planes = numbers.view(np.uint8).reshape(len(numbers), -1).T  # [byte, element], the least significant first
    payload = b"".join(plane.tobytes() for plane in planes)
    sizes = [len(numbers)] * len(planes) + [0] * (4 - len(planes))
    slots, draws = values.shape
    header = struct.pack("<IBBBxHH4I4x", 0x454C4954, 1, 1, dtype, slots, draws, *sizes)
    checksum = xxhash.xxh3_64_intdigest(KEY + header + struct.pack(">Q", xxhash.xxh3_64_intdigest(payload)))
    return header + struct.pack("<Q", checksum) + payload


for name, values, dtype in (("float32", VALUES, 4), ("float16", VALUES.astype(np.float16), 6)):
    print(name, tile(values, dtype).hex())
print("float16 values", [float(v) for v in VALUES.astype(np.float16).reshape(-1)])
