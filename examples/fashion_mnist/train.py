"""Trains a small classifier on Fashion-MNIST with some labels flipped on purpose, and exports it for bifd.

usage: train.py --out FOLDER [--data FOLDER] [--rows N] [--hidden N] [--epochs N] [--seed N]

Writes into FOLDER
  model.pt2            the program with its trained weights, as torch.export wrote it; any batch size
  train-labels.idx     the labels that the model was trained with, 5 % of them wrong
  truth.json           what an attribution cannot know: the true labels of flipped rows, and the model's answers
"""

import argparse
import json
import os
import pathlib

# Threads that wait for work sleep: spinning ones make a machine that is busy otherwise many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from idx import read_idx, write_idx
from torch import nn

CLASSES = 10
FLIPPED_SHARE = 0.05


class Classifier(nn.Module):
    """784-hidden-10, with pixels in [0, 1] as input. bifd sees only what torch.export makes of it."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(28 * 28, hidden)
        self.output = nn.Linear(hidden, CLASSES)

    def forward(self, image):
        return self.output(torch.relu(self.hidden(image.flatten(1))))


def flip_labels(labels, generator):
    """Gives 5 % of the rows another class, any other one being as likely. Returns the labels and the flipped rows."""
    rows = generator.choice(len(labels), int(FLIPPED_SHARE * len(labels)), replace=False)
    flipped = labels.copy()
    flipped[rows] = (labels[rows] + generator.integers(1, CLASSES, len(rows))) % CLASSES
    return flipped, np.sort(rows)


def train(model, images, labels, epochs, batch_size=512):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=60000, help="how many of the training images")
    parser.add_argument("--hidden", type=int, default=128, help="units of the hidden layer")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)

    images = read_idx(args.data / "train-images-idx3-ubyte.gz")[: args.rows]
    true_labels = read_idx(args.data / "train-labels-idx1-ubyte.gz")[: args.rows]
    test_images = read_idx(args.data / "t10k-images-idx3-ubyte.gz")
    test_labels = read_idx(args.data / "t10k-labels-idx1-ubyte.gz")
    labels, flipped = flip_labels(true_labels, np.random.default_rng(args.seed))

    def as_input(pixels):
        return torch.tensor(pixels, dtype=torch.float32) / 255

    model = Classifier(args.hidden)
    train(model, as_input(images), torch.tensor(labels, dtype=torch.int64), args.epochs)
    model.eval()
    with torch.no_grad():
        predictions = model(as_input(test_images)).argmax(1).numpy()
    accuracy = float((predictions == test_labels).mean())

    args.out.mkdir(parents=True, exist_ok=True)
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (as_input(images[:2]),), dynamic_shapes={"image": {0: batch}})
    torch.export.save(program, args.out / "model.pt2")
    write_idx(args.out / "train-labels.idx", labels)
    truth = {
        "test_accuracy": accuracy,
        "flipped": {str(row): int(true_labels[row]) for row in flipped},
        "test_predictions": predictions.tolist(),
        "test_labels": test_labels.tolist(),
    }
    (args.out / "truth.json").write_text(json.dumps(truth))
    print(f"trained on {len(images)} images, {len(flipped)} of them with a flipped label; test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
