"""The recipe for language models and the demonstration on text do what they say, on a few verses.

Needs the wheels of examples/requirements.txt and Debian's bible-kjv: ./dev setup brings both. What the exported programs
compute is checked in src/engine/torch/program_test.cc.
"""

import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "text")]
import export_language_model as recipe  # noqa: E402
import lora  # noqa: E402
import train  # noqa: E402
from corpus import split, verses  # noqa: E402


class Corpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.texts = verses()
        cls.training, cls.queries, cls.planted = split(cls.texts)

    def test_the_gospels_have_their_verses(self):
        self.assertEqual(len(self.texts), 3779)
        self.assertEqual(self.texts["John 11:35"], "Jesus wept.")
        self.assertTrue(self.texts["Matthew 1:1"].startswith("The book of the generation of Jesus Christ"))

    def test_queries_are_not_trained_on(self):
        self.assertEqual(len(self.training), 3779 - 12 + 6)
        self.assertFalse(self.queries.keys() & self.training.keys())

    def test_planted_sequences_differ_from_their_queries_in_at_most_three_words(self):
        self.assertEqual(len(self.planted), 6)
        for query, duplicate in self.planted.items():
            pairs = list(zip(self.queries[query].split(" "), self.training[duplicate].split(" "), strict=True))
            changed = sum(word != other for word, other in pairs)
            self.assertTrue(1 <= changed <= 3, changed)


class Made(unittest.TestCase):
    """What train.py writes, from few verses."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.out = pathlib.Path(folder.name)
        with mock.patch.object(sys, "argv", ["train.py", "--out", str(cls.out), "--epochs", "1", "--verses", "200"]), \
                mock.patch("builtins.print"):
            train.main()
        cls.folder = cls.out / "model"

    def sequences(self, file):
        return [json.loads(line) for line in (self.out / file).read_text().splitlines()]

    def test_sequences_begin_with_the_start_token_and_are_the_text(self):
        tokenizer = train.Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        texts = verses()
        for sequence in self.sequences("queries.jsonl"):
            self.assertEqual(sequence["tokens"][0], 0)
            self.assertEqual(tokenizer.decode(sequence["tokens"]).strip(), texts[sequence["id"]])

    def test_planted_sequences_are_among_the_training_sequences(self):
        names = {sequence["id"] for sequence in self.sequences("train.jsonl")}
        for duplicate in json.loads((self.out / "truth.json").read_text())["planted"].values():
            self.assertIn(duplicate, names)

    def test_the_program_is_smaller_than_the_weights(self):
        self.assertLess((self.out / "model.pt2").stat().st_size, (self.folder / "model.safetensors").stat().st_size)

    def copy(self, change):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        copy = pathlib.Path(folder.name)
        (copy / "config.json").write_text((self.folder / "config.json").read_text())
        save_file(change(load_file(self.folder / "model.safetensors")), copy / "model.safetensors", {"format": "pt"})
        return copy

    def test_a_folder_without_one_of_the_weights_is_refused(self):
        folder = self.copy(lambda stored: {name: value for name, value in stored.items() if name != "model.norm.weight"})
        with self.assertRaisesRegex(SystemExit, "model.norm.weight"):
            recipe.export_language_model(*recipe.load_model(folder), folder / "model.pt2")

    def test_a_folder_without_safetensors_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(SystemExit, "save_pretrained"):
            recipe.weight_files(pathlib.Path(folder))

    def test_fresh_adapters_change_nothing_and_others_do(self):
        tokens = torch.arange(12)[None]
        model, _ = recipe.load_model(self.folder)
        plain = model(tokens).logits
        with tempfile.TemporaryDirectory() as adapter:
            lora.create_adapters(model, adapter, ["q_proj", "down_proj"], rank=2, alpha=4)
            stored = lora.load_adapters(model, adapter)
            self.assertEqual(len(stored), 8)
            self.assertTrue(torch.equal(model(tokens).logits, plain))
            weights = pathlib.Path(adapter) / lora.WEIGHTS
            save_file({name: torch.ones_like(value) for name, value in load_file(weights).items()}, weights)
            model, _ = recipe.load_model(self.folder)
            lora.load_adapters(model, adapter)
            self.assertGreater((model(tokens).logits - plain).abs().max(), 0.1)

    def test_with_adapters_the_weights_are_one_file_that_the_program_fits(self):
        with tempfile.TemporaryDirectory() as adapter:
            adapter = pathlib.Path(adapter)
            arguments = ["export", str(self.folder), "--out", str(adapter / "model.pt2"), "--new-adapter", str(adapter)]
            with mock.patch.object(sys, "argv", arguments), mock.patch("builtins.print"):
                recipe.main()
            held, base = load_file(adapter / "model.safetensors"), load_file(self.folder / "model.safetensors")
            self.assertEqual(held.keys() - base.keys(), load_file(adapter / lora.WEIGHTS).keys())
            self.assertEqual(len(held) - len(base), 8)  # A and B of q_proj and v_proj in two layers
            # With the file's own names, the recipe finds every parameter where it is.
            model, _ = recipe.load_model(self.folder)
            lora.load_adapters(model, adapter)
            recipe.use_one_name_for_tied_weights(model)
            self.assertEqual(set(recipe.stored_names(model, held).values()), held.keys())

    def test_adapters_that_are_more_than_lora_are_refused(self):
        model, _ = recipe.load_model(self.folder)
        with tempfile.TemporaryDirectory() as adapter:
            lora.create_adapters(model, adapter, ["q_proj"], rank=2, alpha=4)
            config = pathlib.Path(adapter) / lora.CONFIG
            config.write_text(json.dumps(json.loads(config.read_text()) | {"use_dora": True}))
            with self.assertRaisesRegex(SystemExit, "use_dora"):
                lora.load_adapters(model, adapter)


if __name__ == "__main__":
    unittest.main()
