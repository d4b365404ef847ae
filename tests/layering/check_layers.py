"""Fails on an include that points the wrong way: from a lower layer to a higher one, or out of a library's one home.

usage: check_layers.py ROOT

The layers are those of docs/architecture.md. Two tables say all of it: which folders of ours a folder may include, and
where each outside library has its only home. Tests and benchmarks may also use the fakes in tests/support.
"""

import pathlib
import re
import sys

# Folder -> folders of ours that it may include, besides itself. The innermost folder named here counts for a file.
MAY_INCLUDE = {
    "src/base": [],
    "src/observe": ["src/base"],
    "src/storage": ["src/base", "src/storage/rocksdb", "bif/storage/v1"],  # OpenStore picks the implementation
    "src/storage/rocksdb": ["src/base", "src/storage", "bif/storage/v1"],
    "src/engine": ["src/base"],
    "src/engine/torch": ["src/base", "src/engine"],
    "src/attribution": ["src/base"],
    "src/jobs": ["src/base", "src/observe", "src/storage", "src/engine", "src/attribution", "bif/storage/v1"],
    "server": ["src/base", "src/observe", "src/storage", "src/engine", "src/attribution", "src/jobs", "bif/v1",
               "bif/config/v1", "bif/storage/v1", "google"],
    "client": ["bif/v1", "google"],
    "tests": ["src", "server", "client", "bif/v1", "bif/config/v1", "bif/storage/v1", "google"],
}

# A pattern of an include -> the only folders that may have it. `tests` may have everything but LibTorch: its headers
# bring their own google/protobuf, which must not meet ours.
HOMES = {
    r"(torch|ATen|c10)/": ["src/engine/torch"],
    r"rocksdb/": ["src/storage/rocksdb", "tests"],
    r"(grpcpp|grpc)/": ["server", "client", "tests"],
    r"google/protobuf/": ["src/storage", "src/jobs", "server", "client", "tests"],
    r"(prometheus|spdlog)/": ["src/observe", "server", "tests"],
    r"(CLI|kainjow|png)[/.]": ["client", "server", "tests"],
}

# What server-side gRPC looks like; the client library knows the other side only.
SERVER_SIDE = re.compile(r"grpcpp/(server\w*|ext/.*server.*|health_check_service.*)\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
OURS = re.compile(r"(src|server|client|tests|proto|bif|google)/")


def is_below(path, folder):
    return path == folder or path.startswith(folder + "/")


def folder_of(path):
    """The innermost folder of MAY_INCLUDE around a path, or None."""
    return max((f for f in MAY_INCLUDE if is_below(path, f)), key=len, default=None)


def fault(path, include):
    """Why the file at `path` may not include `include`, or None."""
    folder = folder_of(path)
    for pattern, homes in HOMES.items():
        if re.match(pattern, include) and not any(is_below(path, home) for home in homes):
            return f"only {' and '.join(homes)} may include it"
    if folder == "client" and SERVER_SIDE.fullmatch(include):
        return "the client knows no server-side gRPC"
    if not OURS.match(include) or re.match(r"google/protobuf/", include):
        return None
    # The innermost folder of the included file decides: `src/storage` does not open `src/storage/rocksdb`.
    target = folder_of(include) if include.startswith("src/") else None
    if target == folder:
        return None
    if is_below(include, "tests/support") and path.endswith(("_test.cc", "_benchmark.cc")):
        return None
    for allowed in MAY_INCLUDE[folder]:
        if is_below(include, allowed) and (target in (None, allowed) or allowed not in MAY_INCLUDE):
            return None
    if is_below(include, folder):  # a folder may see what lies inside it, unless that has a rule of its own
        if target in (None, folder):
            return None
    return f"{folder} may include only: {', '.join([folder, *MAY_INCLUDE[folder]])}"


def faults_of_tree(root):
    """(faults as text, number of includes looked at) of all files of ours below root."""
    faults, includes = [], 0
    for top in ("src", "server", "client", "tests"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cc"):
                continue
            path = file.relative_to(root).as_posix()
            if folder_of(path) is None:
                faults.append(f"{path}: lies in a folder that has no layer; add it to {pathlib.Path(__file__).name}")
                continue
            for include in INCLUDE.findall(file.read_text(encoding="utf-8")):
                includes += 1
                if why := fault(path, include):
                    faults.append(f"{path}: #include \"{include}\": {why}")
    return faults, includes


def main():
    faults, includes = faults_of_tree(pathlib.Path(sys.argv[1]))
    print("\n".join(faults))
    print(f"{includes} includes, {len(faults)} point the wrong way")
    return 1 if faults or includes == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
