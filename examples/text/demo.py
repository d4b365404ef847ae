"""The demonstration on text: which training sequences does a language model owe its predictions to?

usage: demo.py --bin FOLDER --out FOLDER     (called by ./dev demo-text)

A small Llama is trained on the four gospels. Half of the queries, which it has not seen, have a near-duplicate among the
training sequences, with a few words exchanged. Nothing tells bifd which; the closing lines say where it ranks them.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from local_daemon import LocalDaemon  # noqa: E402
from stopwatch import Stopwatch  # noqa: E402

# Why these: docs/decisions/text_demonstration_settings.md.
SETTINGS = {
    "algorithm": "sgld",
    "step-size": 1e-4,
    "nbeta": 1000,
    "gamma": 1000,
    "chains": 4,
    "draws": 25,
    "burn-in": 50,
    "steps-between-draws": 10,
    "batch-size": 32,
    "seed": 1,
}
ESTIMATOR = "--estimator=normalized-bif"
TOP_K = 5
COLUMN = "tokens:int32:?"


def load(daemon, made):
    program = daemon.bifctl("program", "create", made / "model.pt2", "--loss=next-token", "--target=tokens",
                            "--input=tokens=tokens")
    for dataset in ("train", "queries"):
        daemon.bifctl("dataset", "create", dataset, f"--column={COLUMN}")
        daemon.bifctl("dataset", "append", dataset, made / f"{dataset}.jsonl")
    weights = made / "model" / "model.safetensors"
    return daemon.bifctl("checkpoint", "create", "--program", program["name"], f"--weights={weights}")["name"]


def sample_posterior(daemon, checkpoint, settings):
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return daemon.bifctl("posterior", "create", "--wait", "--checkpoint", checkpoint, "--dataset", "train", *flags)


def attribute(daemon, posterior, queries):
    return daemon.bifctl("attribute", "--posterior", posterior, ESTIMATOR, f"--top-k={TOP_K}",
                         "--query", *(f"queries/{query}" for query in queries))["rankings"]


def ranks(daemon, posterior, planted):
    """Query -> (rank of its near-duplicate among all training sequences by how much they help, their number)."""
    found = {}
    for query, duplicate in planted.items():
        blocks = daemon.run_bifctl("--json", "score-matrix", "--posterior", posterior, ESTIMATOR, "--query", f"queries/{query}")
        scores = {}
        for block in map(json.loads, blocks.splitlines()):
            scores |= dict(zip(block["candidateIds"], block["scores"]))
        found[query] = (1 + sum(score < scores[duplicate] for score in scores.values()), len(scores))
    return found


def figures(truth, found):
    places = [rank for rank, _ in found.values()]
    count = next(iter(found.values()))[1]
    return {
        "ranks": places,
        "median_rank": statistics.median(places),
        "in_top": sum(rank <= TOP_K for rank in places),
        # The chance that a near-duplicate ranks above a training sequence picked at random.
        "auroc": statistics.mean(1 - (rank - 1) / (count - 1) for rank in places),
        **{key: truth[key] for key in ("parameters", "tokens", "seen_loss", "unseen_loss")},
    }


def lines(summary):
    """(what, value) of everything that the demonstration has to say."""
    found, seconds = summary["figures"], summary["seconds"]
    return [
        ("loss a token: on training sequences, on the queries", f"{found['seen_loss']:.2f}, {found['unseen_loss']:.2f}"),
        (f"ranks of the {len(found['ranks'])} planted near-duplicates among {summary['sequences']:,} sequences",
         ", ".join(map(str, found["ranks"]))),
        (f"planted near-duplicates among the {TOP_K} most helpful", f"{found['in_top']} of {len(found['ranks'])}"),
        ("AUROC of the scores for finding them", f"{found['auroc']:.4f}"),
        ("sampling the posterior", f"{seconds['sampling']:.1f} s"),
        ("first query, bifctl's start included", f"{seconds['first_query']:.2f} s"),
        ("the same query again", f"{seconds['repeated_query']:.2f} s"),
    ]


def write_report(daemon, posterior, made, report, queries, planted, told):
    notes = {duplicate: "planted near-duplicate" for duplicate in planted.values()}
    notes |= {f"queries/{query}": "has a planted near-duplicate" for query in planted}
    notes_file, summary_file = report.with_name("notes.json"), report.with_name("report_summary.json")
    notes_file.write_text(json.dumps(notes))
    summary_file.write_text(json.dumps([{"label": what, "value": value} for what, value in told]))
    daemon.run_bifctl("report", "--posterior", posterior, ESTIMATOR, f"--top-k={TOP_K}", f"--out={report}",
                      "--query", *(f"queries/{query}" for query in queries),
                      f"--tokenizer={made / 'model' / 'tokenizer.json'}",
                      "--title=Which verses does a small language model owe its predictions to?",
                      f"--notes={notes_file}", f"--summary={summary_file}")


def run(args):
    watch = Stopwatch()
    made, data, report = args.out / "model", args.out / "bifd", args.out / "report.html"
    for earlier in (made, data):
        shutil.rmtree(earlier, ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)

    watch.time("training", "training a tokenizer and a small Llama on the four gospels, and exporting it", lambda: subprocess.run(
        [sys.executable, HERE / "train.py", "--out", made], check=True))
    truth = json.loads((made / "truth.json").read_text())
    queries = [json.loads(line)["id"] for line in (made / "queries.jsonl").read_text().splitlines()]

    with LocalDaemon(args.bin, data, []) as daemon:
        checkpoint = watch.time("import", "importing the sequences", lambda: load(daemon, made))
        sampled = watch.time("sampling", f"sampling the posterior: {SETTINGS['chains']} chains of {SETTINGS['draws']} draws",
                             lambda: sample_posterior(daemon, checkpoint, SETTINGS))
        posterior = sampled["name"]
        watch.time("first_query", "asking about one verse", lambda: attribute(daemon, posterior, queries[:1]))
        watch.time("repeated_query", "asking the same again", lambda: attribute(daemon, posterior, queries[:1]))
        found = watch.time("ranks", "asking for the scores of all sequences", lambda: ranks(daemon, posterior, truth["planted"]))
        summary = {"posterior": sampled, "sequences": next(iter(found.values()))[1], "seconds": watch.seconds,
                   "figures": figures(truth, found)}
        watch.time("report", f"asking about a dozen, token by token, and writing {report}", lambda: write_report(
            daemon, posterior, made, report, queries, truth["planted"], lines(summary)))

    (args.out / "summary.json").write_text(json.dumps(summary, indent=2))
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where bifd and bifctl are")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="what an earlier run left there is replaced")
    args = parser.parse_args()
    print()
    for what, value in lines(run(args)):
        print(f"{what:75} {value}")
    print(f"The report is {args.out / 'report.html'}")


if __name__ == "__main__":
    main()
