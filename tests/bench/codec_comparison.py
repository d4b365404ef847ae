"""INT8 draws against exact ones: the same chains, twice, and how alike the scores rank the training samples."""

import pathlib
import sys
import tempfile

import numpy as np

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/fashion_mnist"
sys.path.insert(0, str(EXAMPLE))
import demo as example  # noqa: E402
from local_daemon import LocalDaemon  # noqa: E402

TRAINING_ROWS, QUERIES = 5000, 20


def spearman(a, b):
    """Rank correlation of two columns of scores without ties to speak of."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def int8_rank_correlation(build, demonstration):
    """The mean over queries. The chains move in exact arithmetic, so that only the stored draws differ."""
    model = demonstration.folder / "model"
    assert demonstration.summary  # the model is there
    settings = {**example.SETTINGS, "draws": 50, "chains": 2}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        with LocalDaemon(build, scratch / "bifd", [model, example.DEBIAN_DATA]) as daemon:
            example.import_images(daemon, "train", example.DEBIAN_DATA / "train-images-idx3-ubyte.gz",
                                  model / "train-labels.idx", f"--max-rows={TRAINING_ROWS}")
            example.import_images(daemon, "test", example.DEBIAN_DATA / "t10k-images-idx3-ubyte.gz",
                                  example.DEBIAN_DATA / "t10k-labels-idx1-ubyte.gz", f"--max-rows={QUERIES}")
            checkpoint = example.register_checkpoint(daemon, model / "model.pt2")
            scores = {}
            for codec in ("int8-block", "fp32"):
                posterior = example.sample_posterior(daemon, checkpoint, {**settings, "codec": codec})["name"]
                out = scratch / f"{codec}.npy"
                daemon.run_bifctl("score-matrix", "--posterior", posterior, *example.test_images(range(QUERIES)),
                                   f"--out={out}")
                scores[codec] = np.load(out)
    pairs = zip(scores["int8-block"].T, scores["fp32"].T)
    return {"int8_rank_correlation": (float(np.mean([spearman(a, b) for a, b in pairs])), "rho")}
