"""The demonstration: which training images make a classifier misread a test image? From raw data to a report.

usage: demo.py --bin FOLDER --out FOLDER     (called by ./dev demo)

5 % of the training labels are flipped before the model is trained. Nothing tells bifd which; the closing lines say how
well the scores find them.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys

from measures import auroc, share_of

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from local_daemon import LocalDaemon  # noqa: E402
from stopwatch import Stopwatch  # noqa: E402

DEBIAN_DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")

# Why these: docs/decisions/demonstration_settings.md.
SETTINGS = {
    "algorithm": "sgld",
    "step-size": 1e-4,
    "nbeta": 1000,
    "gamma": 300,
    "chains": 4,
    "draws": 100,
    "steps-between-draws": 10,
    "batch-size": 256,
    "seed": 1,
}
CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
MISREAD_QUERIES, CORRECT_QUERIES = 8, 4
TOP_K = 20
COLUMNS = ["image:uint8:28,28", "label:uint8"]


def import_images(daemon, dataset, images, labels, *flags):
    daemon.bifctl("dataset", "create", dataset, *(f"--column={column}" for column in COLUMNS))
    daemon.bifctl("dataset", "import-idx", dataset, f"image={images}", f"label={labels}", *flags)


def register_checkpoint(daemon, program_file):
    program = daemon.bifctl("program", "create", program_file, "--input=image=image", f"--scale={1 / 255}", "--target=label")
    return daemon.bifctl("checkpoint", "create", "--program", program["name"])["name"]


def sample_posterior(daemon, checkpoint, settings):
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return daemon.bifctl("posterior", "create", "--wait", "--checkpoint", checkpoint, "--dataset", "train", *flags)


def choose_queries(truth):
    """Test images by row: some that the model misreads, and some that it reads well."""
    rows = range(len(truth["test_labels"]))
    misread = [row for row in rows if truth["test_predictions"][row] != truth["test_labels"][row]]
    correct = [row for row in rows if truth["test_predictions"][row] == truth["test_labels"][row]]
    pick = random.Random(0)
    return pick.sample(misread, MISREAD_QUERIES), pick.sample(correct, CORRECT_QUERIES)


def test_images(rows):
    return ["--query", *(f"test/{row}" for row in rows)]


def attribute(daemon, posterior, rows):
    """The rankings of test images, in order of `rows`."""
    return daemon.bifctl("attribute", "--posterior", posterior, *test_images(rows), f"--top-k={TOP_K}")["rankings"]


def self_influence(daemon, posterior):
    """Sample id -> (variance of its own loss over the draws, its loss at the checkpoint)."""
    answer = daemon.bifctl("self-influence", "--posterior", posterior)
    return dict(zip(answer["sampleIds"], zip(answer["variances"], answer["anchorLosses"])))


def run(args):
    watch = Stopwatch()
    model, data, report = args.out / "model", args.out / "bifd", args.out / "report.html"
    for earlier in (model, data):
        shutil.rmtree(earlier, ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)

    watch.time("training", "training a classifier on 60,000 images and exporting it", lambda: subprocess.run(
        [sys.executable, HERE / "train.py", "--out", model, "--data", DEBIAN_DATA], check=True))
    truth = json.loads((model / "truth.json").read_text())
    misread, correct = choose_queries(truth)

    with LocalDaemon(args.bin, data, [model, DEBIAN_DATA]) as daemon:
        def load():
            import_images(daemon, "train", DEBIAN_DATA / "train-images-idx3-ubyte.gz", model / "train-labels.idx")
            import_images(daemon, "test", DEBIAN_DATA / "t10k-images-idx3-ubyte.gz", DEBIAN_DATA / "t10k-labels-idx1-ubyte.gz")
            return register_checkpoint(daemon, model / "model.pt2")

        checkpoint = watch.time("import", "importing 60,000 training and 10,000 test images", load)
        with daemon.watch_memory() as peak_mib:
            sampled = watch.time("sampling", "sampling the posterior: 4 chains of 100 draws",
                                 lambda: sample_posterior(daemon, checkpoint, SETTINGS))
        posterior = sampled["name"]
        watch.time("first_query", "asking about one test image", lambda: attribute(daemon, posterior, misread[:1]))
        watch.time("repeated_query", "asking the same again", lambda: attribute(daemon, posterior, misread[:1]))
        rankings = watch.time("all_queries", "asking about a dozen",
                              lambda: attribute(daemon, posterior, misread + correct))
        influence = watch.time("self_influence", "asking every training image for its self-influence",
                               lambda: self_influence(daemon, posterior))
        summary = {
            "posterior": sampled,
            "sampling_peak_mib": peak_mib[0],
            "misread": misread,
            "correct": correct,
            "seconds": watch.seconds,
            "figures": figures(truth, rankings[: len(misread)], influence),
        }
        watch.time("report", f"writing {report}", lambda: write_report(
            daemon, posterior, misread + correct, report, truth, lines(summary)))

    (args.out / "summary.json").write_text(json.dumps(summary, indent=2))
    return summary


def figures(truth, misread_rankings, influence):
    """How well the scores find what was hidden from bifd."""
    flipped = truth["flipped"]
    harmful = [score["sampleId"] for ranking in misread_rankings for score in ranking["harmful"][:TOP_K]]
    return {
        "test_accuracy": truth["test_accuracy"],
        "base_rate": len(flipped) / len(influence),
        "flipped_among_harmful": share_of(harmful, flipped),
        "auroc_self_influence": auroc({sample: variance for sample, (variance, _) in influence.items()}, flipped),
        "auroc_loss": auroc({sample: loss for sample, (_, loss) in influence.items()}, flipped),
    }


def lines(summary):
    """(what, value) of everything that the demonstration has to say."""
    found, seconds = summary["figures"], summary["seconds"]
    return [
        ("test accuracy of the classifier", f"{found['test_accuracy']:.3f}"),
        ("flipped labels among all training images", f"{found['base_rate']:.1%}"),
        (f"flipped labels among the {TOP_K} most harmful to misread test images", f"{found['flipped_among_harmful']:.1%}"),
        ("AUROC of self-influence for finding flipped labels", f"{found['auroc_self_influence']:.3f}"),
        ("AUROC of the plain loss for the same", f"{found['auroc_loss']:.3f}"),
        ("sampling the posterior", f"{seconds['sampling']:.1f} s"),
        ("first query, bifctl's start included", f"{seconds['first_query']:.2f} s"),
        ("the same query again", f"{seconds['repeated_query']:.2f} s"),
    ]


def write_report(daemon, posterior, rows, report, truth, told):
    """The page that `bifctl report` makes, with badges for what only this demonstration knows."""
    notes = {row: f"label flipped: was {CLASSES[label]}" for row, label in truth["flipped"].items()}
    for row in rows:
        answer = truth["test_predictions"][row]
        right = answer == truth["test_labels"][row]
        notes[f"test/{row}"] = "read well" if right else f"misread as {CLASSES[answer]}"
    notes_file, summary_file = report.with_name("notes.json"), report.with_name("report_summary.json")
    notes_file.write_text(json.dumps(notes))
    summary_file.write_text(json.dumps([{"label": what, "value": value} for what, value in told]))
    daemon.run_bifctl("report", "--posterior", posterior, *test_images(rows), f"--out={report}",
                      "--title=Which training images made Fashion-MNIST look like this?",
                      f"--class-names={','.join(CLASSES)}", f"--notes={notes_file}", f"--summary={summary_file}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where bifd and bifctl are")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="what an earlier run left there is replaced")
    args = parser.parse_args()
    print()
    for what, value in lines(run(args)):
        print(f"{what:65} {value:>8}")
    print(f"The report is {args.out / 'report.html'}")


if __name__ == "__main__":
    main()
