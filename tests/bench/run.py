"""Measures the figures of docs/benchmarks.md: one `name value unit` a line, or with --json one object of name to value.

usage: run.py [NAME...] [--json] [--build FOLDER] [--demo FOLDER]     (called by ./dev bench)

A NAME is a figure's, or `lm` for all figures of language models, `serving` for all of a daemon with many clients,
`storage` for all of the data directory, or `estimators` for all of how near scores come to the truth.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import estimators
import language_model
import pathwise
import serving
import thinning
from codec_comparison import int8_rank_correlation
from demonstration import Demonstration, LocalDaemon

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary_figures(command):
    """What a benchmark prints: name -> (value, unit)."""
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return {line.split()[0]: (float(line.split()[1]), line.split()[2]) for line in lines if len(line.split()) == 3}


def small_llama():
    sys.path.insert(0, str(ROOT / "tests/golden"))
    from make_language_models import LLAMA_260K, Llama
    return Llama(*LLAMA_260K)


def token_matrix(build):
    with tempfile.TemporaryDirectory() as folder, LocalDaemon(build, pathlib.Path(folder) / "data", []) as daemon:
        program = build / "src/engine/torch/sampling_programs/llama.pt2"
        return binary_figures([build / "tests/bench/token_benchmark", daemon.server, program])


# Each group measures several figures at once: (their names, what gives name -> (value, unit)).
def groups(build, demo_folder):
    demo = Demonstration(build, demo_folder)
    crowd = serving.Serving(build, demo)
    return [
        (["trace_vs_forward", "step_vs_forward_backward"],
         lambda: binary_figures([build / "src/engine/torch/engine_benchmark"])),
        (["full_scores_60k_400_seconds", "posterior_vs_new_query", "repeat_query_p50_ms"], demo.serving),
        (["draw_bytes_per_parameter"], demo.draw_bytes),
        (["sampling_overhead_mib"], demo.sampling_overhead),
        (["auto_thin_efficiency"], lambda: thinning.auto_thin_efficiency(build, demo)),
        (["int8_rank_correlation"], lambda: int8_rank_correlation(build, demo)),
        (["lm_trace_vs_python", "lm_trace_mixed_vs_python", "lm_step_vs_python", "lm_bf16_vs_fp32",
          "lm_bf16_rank_correlation"],
         lambda: language_model.figures([build / "src/engine/torch/lm_rounds_benchmark"], small_llama)),
        (["lm_new_query_seconds", "lm_tune_seconds", "lm_loss_memory_ratio", "lm_loss_time_ratio"],
         lambda: binary_figures([build / "src/engine/torch/lm_benchmark"])),
        (["token_matrix_ms"], lambda: token_matrix(build)),
        (["shared_scan_64_clients"], crowd.shared_scan),
        (["health_p99_ms_under_load"], crowd.health),
        (["stored_answer_slowdown"], crowd.stored_answer),
        (["sampling_loss_idle_pct", "sampling_loss_50rps_pct"], crowd.sampling_loss),
        (["fair_share_error_pct"], crowd.fair_share),
        (["idle_2000_connections_mib"], crowd.idle_connections),
        (["tile_write_vs_file", "tile_scan_vs_file", "tile_scan_warm_vs_file", "recovery_seconds_per_million_rows",
          "recovery_processor_seconds_per_million_rows", "backup_seconds_per_gb", "backup_copy_seconds_per_gb", "checksum_cost_pct"],
         lambda: binary_figures([build / "src/storage/durability_benchmark"])),
        (estimators.GAUSSIAN_NAMES, lambda: estimators.gaussian(build)),
        (pathwise.RANK_NAMES, lambda: pathwise.rank_correlations(build)),
        (pathwise.REFINE_NAMES, lambda: pathwise.refine_recall(build, demo)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these figures")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--demo", type=pathlib.Path, default=ROOT / "demo")
    args = parser.parse_args()

    known = groups(args.build, args.demo)
    together = {
        "lm": {name for names, _ in known for name in names if name.startswith(("lm_", "token_"))},
        "serving": set(serving.NAMES),
        "estimators": {*estimators.NAMES, *pathwise.RANK_NAMES, *pathwise.REFINE_NAMES, "auto_thin_efficiency"},
        "storage": {name for names, _ in known for name in names
                    if name.startswith(("tile_", "recovery_", "backup_", "checksum_"))},
    }
    wanted_names = set().union(*(together.get(name, {name}) for name in args.names))
    unknown = wanted_names - {name for names, _ in known for name in names}
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; see docs/benchmarks.md")

    values = {}
    for names, measure in known:
        wanted = [name for name in names if not wanted_names or name in wanted_names]
        if not wanted:
            continue
        figures = measure()
        for name in wanted:
            if name not in figures:
                continue  # not on this machine; the reason was printed
            value, unit = figures[name]
            values[name] = value
            if not args.json:
                print(f"{name} {value:.6g} {unit}", flush=True)
    if args.json:
        print(json.dumps(values, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
