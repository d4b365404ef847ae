"""Figures on the posterior of the demonstration."""

import json
import math
import pathlib
import subprocess
import sys

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/fashion_mnist"
sys.path.insert(0, str(EXAMPLE.parent))
from local_daemon import LocalDaemon  # noqa: E402

# src/jobs/posteriors.h: at most so much is held of a segment's traces and draws; a segment's draws are a power of two.
TILE_BUFFER_BYTES = 64 << 20


class Demonstration:
    """The demonstration's folder; it is run first if it has not been run with the present bifd."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self._summary = None

    @property
    def summary(self):
        path = self.folder / "summary.json"
        if self._summary is None:
            if not path.exists() or path.stat().st_mtime < (self.build / "bifd").stat().st_mtime:
                subprocess.run([sys.executable, EXAMPLE / "demo.py", "--bin", self.build, "--out", self.folder],
                               stdout=sys.stderr, check=True)
            self._summary = json.loads(path.read_text())
        return self._summary

    @property
    def posterior(self):
        return self.summary["posterior"]

    def serving(self):
        known_row = self.summary["misread"][0]
        with LocalDaemon(self.build, self.folder / "bifd", []) as daemon:
            lines = subprocess.run(
                [self.build / "tests/bench/serving_benchmark", daemon.server, self.posterior["name"], "datasets/test",
                 str(known_row)], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
        measured = {line.split()[0]: float(line.split()[1]) for line in lines}
        cells = measured["full_scores_rows"] * len(self.posterior["chains"]) * self.posterior["drawsPerChain"]
        sampling_seconds = float(self.posterior["samplingTime"].rstrip("s"))
        return {
            # Scaled where the demonstration was run with fewer rows or draws.
            "full_scores_60k_400_seconds": (measured["full_scores_seconds"] * 60000 * 400 / cells, "s"),
            "posterior_vs_new_query": (sampling_seconds / measured["new_query_seconds"], "x"),
            "repeat_query_p50_ms": (measured["repeat_query_p50_ms"], "ms"),
        }

    def draw_bytes(self):
        draws = len(self.posterior["chains"]) * self.posterior["drawsPerChain"]
        file_bytes = sum(file.stat().st_size for file in (self.folder / "bifd/draws").glob("*/*.draws"))
        return {"draw_bytes_per_parameter": (file_bytes / (draws * int(self.posterior["movingParameters"])), "bytes")}

    def sampling_overhead(self):
        vectors = 1 + len(self.posterior["chains"])  # w*, and one w a chain: SGLD keeps no more
        parameters = int(self.posterior["movingParameters"])
        draw_bytes = len(self.posterior["chains"]) * (int(self.posterior["trainingSamples"]) * 4 + parameters)
        segment_bytes = draw_bytes * 2 ** int(math.log2(max(1, TILE_BUFFER_BYTES // draw_bytes)))
        known_mib = (vectors * parameters * 4 + segment_bytes) / 2**20
        return {"sampling_overhead_mib": (self.summary["sampling_peak_mib"] - known_mib, "MiB")}
