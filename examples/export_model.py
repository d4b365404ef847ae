"""How to bring your own model to bifd: any torch.nn.Module becomes a program (.pt2), any set of weights a .safetensors.

usage: export_model.py --out FOLDER     runs the worked example at the end of this file

A program is exported once for each architecture. Every checkpoint of it - along a training run, or a fine-tuned
sibling - is then only a .safetensors file. For your own model, call these two functions:

    export_program(model, {"image": images[:2]}, "model.pt2")
    save_weights(model, "epoch-12.safetensors")

Three things to mind:
  * Call model.eval() first. Dropout would make losses random, and batch norm in training mode would change its buffers
    at every forward; bifd refuses both by name.
  * What the program returns is either logits [batch, classes], with the label in a dataset column, or losses [batch]:
    wrap the model in a module that computes them if yours are unusual.
  * The names of forward()'s arguments become the program's inputs, which `bifctl program create` binds to columns.
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn


def export_program(model, example_inputs, path):
    """Exports `model` for any batch size. `example_inputs`: argument name of forward() -> a batch of at least two rows."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        model.eval(),
        args=(),
        kwargs=dict(example_inputs),
        dynamic_shapes={name: {0: batch} for name in example_inputs},
    )
    torch.export.save(program, path)
    return program


def save_weights(model, path):
    """Writes the parameters and buffers under the names that the program knows them by. Tied weights are written once."""
    written = {}
    for name, tensor in model.state_dict().items():
        if not any(tensor.data_ptr() == other.data_ptr() for other in written.values()):
            written[name] = tensor.detach().contiguous()
    save_file(written, path)


# --- A worked example: a residual network, built like those of torchvision -------------------------------------------


class Block(nn.Module):
    """Two convolutions and a shortcut; the shortcut halves the resolution where the block does."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResidualNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.head = nn.Linear(64, classes)

    def forward(self, image):
        features = self.blocks(torch.relu(self.bn(self.stem(image))))
        return self.head(features.mean((2, 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    model = ResidualNet()  # yours comes trained
    program = export_program(model, {"image": torch.randn(2, 3, 32, 32)}, out / "model.pt2")
    save_weights(model, out / "weights.safetensors")
    print(f"{out}/model.pt2: {len(program.graph.nodes)} nodes; {out}/weights.safetensors: {len(model.state_dict())} tensors")


if __name__ == "__main__":
    main()
