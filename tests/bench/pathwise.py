"""Scores from slopes against scores from covariance, on Fashion-MNIST: how well both rank the training images at equal
cost, and how much of a full pathwise ranking the two stages find for a tenth of its cost.

Costs are forward passes of one sample, counted as docs/estimators.md says, those of sampling included.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from codec_comparison import spearman
from demonstration import EXAMPLE, LocalDaemon

sys.path.insert(0, str(EXAMPLE))
import demo as fashion_mnist  # noqa: E402

# The small model: 25,450 parameters, 2,000 training images.
ROWS, HIDDEN, EPOCHS = 2000, 32, 40
QUERIES = range(8)  # of the test images
SETTINGS = {"algorithm": "sgld", "step-size": 2e-4, "nbeta": 300, "gamma": 200, "batch-size": 128, "chains": 4,
            "steps-between-draws": 20, "burn-in": 500}
PATHWISE_DRAWS = 80  # all chains together
REFERENCE_DRAWS = 10000  # a chain
# Refining, on the demonstration.
REFINED_QUERIES, FULL_DRAWS, TOP_K = range(4), 40, 20

RANK_NAMES = ["pathwise_rank_correlation_mlp", "covariance_rank_correlation_mlp"]
REFINE_NAMES = ["refine_recall_at_20"]


def tell(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def sampling_cost(draws):
    """Forward passes that `draws` draws of every chain take, burn-in and traces included."""
    steps = SETTINGS["burn-in"] + draws * SETTINGS["steps-between-draws"]
    return SETTINGS["chains"] * (3 * SETTINGS["batch-size"] * steps + draws * ROWS)


def draws_for(cost):
    """The draws of every chain that cost nearest to so much."""
    return round((cost - sampling_cost(0)) / (sampling_cost(1) - sampling_cost(0)))


def score_matrix(daemon, posterior, *flags):
    """[training sample, query], and the forward passes that slopes took."""
    blocks = [json.loads(line) for line in daemon.run_bifctl(
        "--json", "score-matrix", "--posterior", posterior["name"], *fashion_mnist.test_images(QUERIES), *flags).splitlines()]
    scores = np.array([score for block in blocks for score in block["scores"]]).reshape(-1, len(QUERIES))
    return scores, int(blocks[0]["provenance"].get("pathwise", {}).get("forwardPasses", 0))


def rank_correlation(scores, truth):
    """The mean over queries."""
    return float(np.mean([spearman(a, b) for a, b in zip(scores.T, truth.T)]))


def rank_correlations(build):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        model, data = scratch / "model", fashion_mnist.DEBIAN_DATA
        subprocess.run([sys.executable, EXAMPLE / "train.py", "--out", model, f"--rows={ROWS}", f"--hidden={HIDDEN}",
                        f"--epochs={EPOCHS}"], stdout=sys.stderr, check=True)
        with LocalDaemon(build, scratch / "bifd", [model, data]) as daemon:
            fashion_mnist.import_images(daemon, "train", data / "train-images-idx3-ubyte.gz", model / "train-labels.idx",
                                        f"--max-rows={ROWS}")
            fashion_mnist.import_images(daemon, "test", data / "t10k-images-idx3-ubyte.gz",
                                        data / "t10k-labels-idx1-ubyte.gz", f"--max-rows={len(QUERIES)}")
            checkpoint = fashion_mnist.register_checkpoint(daemon, model / "model.pt2")

            def sample(seed, draws):
                return fashion_mnist.sample_posterior(daemon, checkpoint, {**SETTINGS, "seed": seed, "draws": draws})

            few = PATHWISE_DRAWS // SETTINGS["chains"]
            pathwise, passes = score_matrix(daemon, sample(1, few), "--estimator=pathwise",
                                            f"--pathwise-draws={PATHWISE_DRAWS}")
            cost = sampling_cost(few) + passes
            draws = draws_for(cost)
            covariance, _ = score_matrix(daemon, sample(2, draws))
            truth, _ = score_matrix(daemon, sample(3, REFERENCE_DRAWS))
    tell(f"{cost / 1e6:.1f} million forward passes: {PATHWISE_DRAWS} pathwise draws, or {4 * draws} of covariance")
    return {"pathwise_rank_correlation_mlp": (rank_correlation(pathwise, truth), "rho"),
            "covariance_rank_correlation_mlp": (rank_correlation(covariance, truth), "rho")}


def top_of(answer):
    """Of each query: the most helpful and the most harmful training images."""
    return [{score["sampleId"] for score in ranking[end]} for ranking in answer["rankings"] for end in ("helpful", "harmful")]


def refine_recall(build, demo):
    """On the demonstration: the share of the full pathwise top 20 that the two stages name."""
    posterior = demo.posterior["name"]

    def attribute(daemon, *flags):
        return daemon.bifctl("attribute", "--posterior", posterior, *fashion_mnist.test_images(REFINED_QUERIES),
                             f"--top-k={TOP_K}", *flags)

    with LocalDaemon(build, demo.folder / "bifd", []) as daemon:
        full = attribute(daemon, "--estimator=pathwise", f"--pathwise-draws={FULL_DRAWS}")
        passes = int(full["provenance"]["pathwise"]["forwardPasses"])
        first = attribute(daemon)
        two_stages = attribute(daemon, "--refine=pathwise", f"--refine-passes={passes // 10}")

    def recall(answer):
        return float(np.mean([len(found & wanted) / TOP_K for found, wanted in zip(top_of(answer), top_of(full))]))

    tell(f"a full pass took {passes / 1e6:.0f} million forward passes; the first stage alone names {recall(first):.2f} of its "
         f"top {TOP_K}")
    return {"refine_recall_at_20": (recall(two_stages), "share")}
