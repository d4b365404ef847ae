"""Trains a tokenizer and a small Llama on the verses of corpus.py, and makes everything that bifd is given.

usage: train.py --out FOLDER [--epochs N] [--verses N]

Writes into FOLDER
  model/            as save_pretrained writes it: config.json, model.safetensors; and tokenizer.json
  model.pt2         the program, by examples/export_language_model.py
  train.jsonl       the sequences that the model was trained on: {"id": ..., "tokens": [...]}
  queries.jsonl     the sequences to ask about, which it has not seen
  truth.json        what an attribution cannot know: which training sequence was made from which query
"""

import argparse
import json
import os
import pathlib
import random
import sys

# Threads that wait for work sleep: spinning ones make a machine that is busy otherwise many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from corpus import split, verses
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from export_language_model import export_language_model, load_model  # noqa: E402

START = "<s>"  # before every text, so that its first token has a loss
VOCABULARY, LONGEST = 1536, 128
BATCH, LEARNING_RATE = 32, 5e-3


def train_tokenizer(texts):
    """Byte-level BPE, like that of GPT-2 and its successors."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[START], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, tokenizer.token_to_id(START))])
    return tokenizer


def new_model():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=96, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=LONGEST, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0))


def loss(model, sequences):
    """The mean over all tokens but the first of each sequence."""
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True)
    counted = torch.nn.utils.rnn.pad_sequence([torch.ones(len(ids) - 1) for ids in sequences], batch_first=True)
    logits = model(input_ids=tokens, use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return (losses * counted).sum() / counted.sum()


def batches(sequences, generator):
    """Sequences of about one length together, so that little is padded."""
    shuffled = generator.sample(sequences, len(sequences))
    groups = [sorted(shuffled[i : i + 8 * BATCH], key=len) for i in range(0, len(shuffled), 8 * BATCH)]
    cut = [group[i : i + BATCH] for group in groups for i in range(0, len(group), BATCH)]
    return generator.sample(cut, len(cut))


def train(model, sequences, epochs):
    generator = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.1, betas=(0.9, 0.95))
    steps = epochs * len(batches(sequences, random.Random(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for batch in batches(sequences, generator):
            optimizer.zero_grad()
            loss(model, batch).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def write_sequences(path, sequences):
    path.write_text("".join(json.dumps({"id": name, "tokens": ids}) + "\n" for name, ids in sequences.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--verses", type=int, default=0, help="only the first so many; 0: all")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    texts = verses()
    training, queries, planted = split(dict(list(texts.items())[: args.verses or len(texts)]))
    tokenizer = train_tokenizer(training.values())
    sequences = {name: tokenizer.encode(text).ids[:LONGEST] for name, text in training.items()}
    asked = {name: tokenizer.encode(text).ids[:LONGEST] for name, text in queries.items()}

    torch.manual_seed(0)
    model = new_model()
    train(model, list(sequences.values()), args.epochs)
    model.eval()
    with torch.no_grad():
        seen, unseen = (loss(model, list(some.values())[:256]).item() for some in (sequences, asked))

    folder = args.out / "model"
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    export_language_model(*load_model(folder), args.out / "model.pt2")
    write_sequences(args.out / "train.jsonl", sequences)
    write_sequences(args.out / "queries.jsonl", asked)
    tokens = sum(map(len, sequences.values()))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    (args.out / "truth.json").write_text(json.dumps({
        "planted": planted, "parameters": parameters, "tokens": tokens, "seen_loss": seen, "unseen_loss": unseen}))
    print(f"trained {parameters:,} parameters on {len(sequences):,} verses of {tokens:,} tokens; loss {seen:.2f} on "
          f"them, {unseen:.2f} on the queries")


if __name__ == "__main__":
    main()
