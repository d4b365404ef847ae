"""Draws the figures of docs/estimators.md from what the estimators give on a linear model whose scores are known.

usage: make_estimator_plots.py [--benchmark build/release/src/attribution/estimator_benchmark] [--points FILE]

Runs `estimator_benchmark --points` (about a minute), or reads what it printed from FILE, and writes estimator_error.svg
and estimator_coverage.svg beside itself. Needs matplotlib, which nothing else here does: `pip install matplotlib`.
"""

import argparse
import collections
import pathlib
import subprocess

import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLOURS = {"covariance": "#b3541e", "pathwise": "#1f5f8b", "mixed": "#4b7f52"}


def read(text):
    """(kind, estimator) -> rows of (draws, value, cost), in order of draws."""
    points = collections.defaultdict(list)
    for line in text.splitlines():
        kind, estimator, draws, value, cost = line.split()
        points[kind, estimator].append((int(draws), float(value), float(cost)))
    return {key: sorted(rows) for key, rows in points.items()}


def save(figure, name):
    figure.tight_layout()
    # No date and fixed ids: the same points give the same file.
    figure.savefig(HERE / name, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def draw_errors(points):
    figure, (by_draws, by_cost) = plt.subplots(1, 2, figsize=(7.2, 2.9), sharey=True)
    for estimator in ("covariance", "pathwise"):
        draws, errors, costs = zip(*points["error", estimator])
        for axes, x in ((by_draws, draws), (by_cost, costs)):
            axes.loglog(x, errors, "o-", markersize=4, color=COLOURS[estimator], label=estimator)
    by_draws.set(xlabel="draws, of 4 chains", ylabel="relative error of all scores")
    by_cost.set(xlabel="cost of one query, passes over the data")
    for axes in (by_draws, by_cost):
        axes.grid(True, which="major", linewidth=0.4, color="#dddddd")
    by_draws.legend(frameon=False)
    save(figure, "estimator_error.svg")


def draw_coverage(points):
    figure, axes = plt.subplots(figsize=(5.2, 2.9))
    axes.axhspan(93, 97, color="#eeeeee")
    axes.axhline(95, color="#999999", linewidth=0.8)
    labels = {"covariance": "covariance", "pathwise": "pathwise",
              "mixed": "mixed: 40 pathwise draws, and these of covariance"}
    for estimator, label in labels.items():
        draws, coverage, _ = zip(*points["coverage", estimator])
        axes.semilogx(draws, coverage, "o-", markersize=4, color=COLOURS[estimator], label=label)
    axes.set(xlabel="draws, of 4 chains", ylabel="intervals that cover, %", ylim=(85, 100))
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    save(figure, "estimator_coverage.svg")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", type=pathlib.Path,
                        default=ROOT / "build/release/src/attribution/estimator_benchmark")
    parser.add_argument("--points", type=pathlib.Path, help="what the benchmark printed")
    args = parser.parse_args()
    text = args.points.read_text() if args.points else subprocess.run(
        [args.benchmark, "--points"], stdout=subprocess.PIPE, check=True, text=True).stdout
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "bif",
                         "axes.spines.top": False, "axes.spines.right": False})
    points = read(text)
    draw_errors(points)
    draw_coverage(points)


if __name__ == "__main__":
    main()
