"""Figures of the estimators: how near they come to the truth, for how much, and what their intervals cover."""

import subprocess

# On the linear model, whose scores are known: src/attribution/estimator_benchmark.cc.
GAUSSIAN_NAMES = ["pathwise_draws_saved_gaussian", "coverage_pathwise_pct", "coverage_covariance_pct", "coverage_mixed_pct"]
NAMES = GAUSSIAN_NAMES


def gaussian(build):
    """name -> (value, unit)"""
    lines = subprocess.run([build / "src/attribution/estimator_benchmark"], stdout=subprocess.PIPE, check=True,
                           text=True).stdout.splitlines()
    return {name: (float(value), unit) for name, value, unit in map(str.split, lines)}
