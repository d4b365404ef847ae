"""Measures the figures of docs/benchmarks.md: one `name value unit` a line, or with --json one object of name to value.

usage: run.py [NAME...] [--json] [--build FOLDER] [--demo FOLDER]     (called by ./dev bench)
"""

import argparse
import json
import pathlib
import subprocess
import sys

from codec_comparison import int8_rank_correlation
from demonstration import Demonstration

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary_figures(binary):
    """What a benchmark binary prints: name -> (value, unit)."""
    lines = subprocess.run([binary], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return {line.split()[0]: (float(line.split()[1]), line.split()[2]) for line in lines if len(line.split()) == 3}


# Each group measures several figures at once: (their names, what gives name -> (value, unit)).
def groups(build, demo_folder):
    demo = Demonstration(build, demo_folder)
    return [
        (["trace_vs_forward", "step_vs_forward_backward"],
         lambda: binary_figures(build / "src/engine/torch/engine_benchmark")),
        (["full_scores_60k_400_seconds", "posterior_vs_new_query", "repeat_query_p50_ms"], demo.serving),
        (["draw_bytes_per_parameter"], demo.draw_bytes),
        (["sampling_overhead_mib"], demo.sampling_overhead),
        (["int8_rank_correlation"], lambda: int8_rank_correlation(build, demo)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these figures")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--demo", type=pathlib.Path, default=ROOT / "demo")
    args = parser.parse_args()

    known = groups(args.build, args.demo)
    unknown = set(args.names) - {name for names, _ in known for name in names}
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; see docs/benchmarks.md")

    values = {}
    for names, measure in known:
        wanted = [name for name in names if not args.names or name in args.names]
        if not wanted:
            continue
        figures = measure()
        for name in wanted:
            value, unit = figures[name]
            values[name] = value
            if not args.json:
                print(f"{name} {value:.6g} {unit}", flush=True)
    if args.json:
        print(json.dumps(values, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
