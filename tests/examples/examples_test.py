"""The recipes in examples/ do what they say, on a few rows.

Needs the wheels of requirements.txt and Debian's dataset-fashion-mnist: ./dev setup brings both.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
from safetensors.torch import load_file

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "fashion_mnist"))
from idx import read_idx, write_idx  # noqa: E402
from measures import auroc  # noqa: E402


def run_example(script, *arguments):
    subprocess.run([sys.executable, EXAMPLES / script, *arguments], check=True, stdout=subprocess.DEVNULL)


class FashionMnist(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.folder.name)
        run_example("fashion_mnist/train.py", "--out", cls.out, "--rows", "400", "--epochs", "2")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_program_takes_any_batch_and_gives_logits(self):
        program = torch.export.load(self.out / "model.pt2").module()
        for rows in (2, 7):
            self.assertEqual(program(torch.zeros(rows, 28, 28)).shape, (rows, 10))

    def test_exactly_the_rows_named_in_the_truth_are_flipped(self):
        truth = json.loads((self.out / "truth.json").read_text())
        true = read_idx("/usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz")[:400]
        given = read_idx(self.out / "train-labels.idx")
        changed = np.flatnonzero(true != given)
        self.assertEqual({str(row): int(true[row]) for row in changed}, truth["flipped"])
        self.assertEqual(len(changed), 20)
        self.assertLess(given.max(), 10)

    def test_training_twice_gives_the_same_labels_and_predictions(self):
        with tempfile.TemporaryDirectory() as again:
            run_example("fashion_mnist/train.py", "--out", again, "--rows", "400", "--epochs", "2")
            self.assertEqual((pathlib.Path(again) / "truth.json").read_text(), (self.out / "truth.json").read_text())


class ExportModel(unittest.TestCase):
    def test_program_and_weights_name_the_same_tensors_and_agree(self):
        with tempfile.TemporaryDirectory() as out:
            run_example("export_model.py", "--out", out)
            program = torch.export.load(pathlib.Path(out) / "model.pt2")
            weights = load_file(pathlib.Path(out) / "weights.safetensors")
        self.assertEqual(weights.keys(), program.state_dict.keys())
        for name, tensor in program.state_dict.items():
            self.assertTrue(torch.equal(weights[name], tensor), name)


class Measures(unittest.TestCase):
    def test_auroc_is_the_chance_that_a_positive_ranks_higher(self):
        scores = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0}
        self.assertEqual(auroc(scores, {"c", "d"}), 0.75)
        self.assertEqual(auroc(scores, {"b", "d"}), 1.0)
        self.assertEqual(auroc({"a": 1.0, "b": 1.0}, {"a"}), 0.5)


class Idx(unittest.TestCase):
    def test_what_is_written_is_read(self):
        array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "array.idx"
            write_idx(path, array)
            np.testing.assert_array_equal(read_idx(path), array)

    def test_what_is_no_idx_file_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "text"
            path.write_text("no IDX file")
            with self.assertRaises(ValueError):
                read_idx(path)


if __name__ == "__main__":
    unittest.main()
