"""What AUTO thinning is worth: errors of the demonstration's scores at equal time, from draws at every step and from draws
as far apart as AUTO chose.

Chains that are traced at every step know too little of their own error, so both sides are sampled with several seeds, and
the error of a score is its spread over the seeds. Scores are correlations: they have one scale for all pairs.
"""

import pathlib
import shutil
import sys
import tempfile

import numpy as np

from demonstration import EXAMPLE, LocalDaemon

sys.path.insert(0, str(EXAMPLE))
import demo as fashion_mnist  # noqa: E402

SEEDS = (101, 102, 103, 104)
EVERY_STEP_DRAWS = 48  # a chain
BURN_IN = 200  # steps, of both sides
QUERIES = range(8)  # of the test images


def tell(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def sample(daemon, posterior, seed, draws, steps_between):
    """The posterior, sampled from its start or from where it stands."""
    settings = {**fashion_mnist.SETTINGS, "seed": seed, "draws": draws, "burn-in": BURN_IN,
                "steps-between-draws": steps_between}
    return daemon.bifctl("posterior", "create", "--checkpoint", posterior["checkpoint"], "--dataset", posterior["dataset"],
                         "--wait", *(f"--{name}={value}" for name, value in settings.items()))


def seconds(made):
    return float(made["samplingTime"].rstrip("s"))


def at_equal_time(daemon, posterior, seed, budget):
    """An AUTO posterior that was sampled for about `budget` seconds."""
    made = sample(daemon, posterior, seed, 2, "auto")
    two = seconds(made)
    made = sample(daemon, posterior, seed, 4, "auto")
    each = (seconds(made) - two) / 2
    draws = 4 + int(max(0.0, budget - seconds(made)) / each)
    return sample(daemon, posterior, seed, max(draws, 4), "auto")


def scores_of(daemon, made, folder):
    """[training sample, query]"""
    out = folder / "scores.npy"
    daemon.run_bifctl("score-matrix", "--posterior", made["name"], *fashion_mnist.test_images(QUERIES),
                      "--estimator=normalized-bif", f"--out={out}")
    return np.load(out)


def spread(scores):
    """Root mean square over pairs of the standard deviation over seeds."""
    return float(np.sqrt(np.mean(np.var(np.stack(scores), axis=0, ddof=1))))


def auto_thin_efficiency(build, demo):
    posterior = demo.posterior
    scores = {"1": [], "auto": []}
    times = {"1": [], "auto": []}
    with tempfile.TemporaryDirectory(dir=demo.folder) as scratch:
        scratch = pathlib.Path(scratch)
        shutil.copytree(demo.folder / "bifd", scratch / "bifd", ignore=shutil.ignore_patterns("*.sock", "endpoint"))
        with LocalDaemon(build, scratch / "bifd", []) as daemon:
            for seed in SEEDS:
                every = sample(daemon, posterior, seed, EVERY_STEP_DRAWS, 1)
                auto = at_equal_time(daemon, posterior, seed, seconds(every))
                for side, made in (("1", every), ("auto", auto)):
                    scores[side].append(scores_of(daemon, made, scratch))
                    times[side].append(seconds(made))
                tell(f"seed {seed}: {every['drawsPerChain']} draws at every step in {seconds(every):.1f} s, "
                     f"{auto['drawsPerChain']} draws {auto['stepsBetweenDraws']} steps apart in {seconds(auto):.1f} s")
    # Errors fall with the root of the time, so what is left of the difference in time is taken off.
    equal = (sum(times["auto"]) / sum(times["1"])) ** 0.5
    errors = {side: spread(scores[side]) for side in scores}
    tell(f"errors of a correlation: {errors['1']:.3f} at every step, {errors['auto']:.3f} with AUTO")
    return {"auto_thin_efficiency": (errors["1"] / (errors["auto"] * equal), "x")}
