"""Programs for the tests and benchmarks of sampling, and what PyTorch computes of them.

usage: make_sampling_programs.py FOLDER     writes *.pt2 and golden.json
"""

import json
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

from models import ResNet, VisionTransformer, export


class Linear(nn.Module):
    """For squared error: the local posterior is Gaussian and known in closed form."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.3, -0.2, 0.5]]))

    def forward(self, features):
        return F.linear(features, self.weight)


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, image):
        return self.head(torch.relu(self.hidden(image.flatten(1))))


class OwnLosses(nn.Module):
    """Returns its own losses, [batch]."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, features):
        return ((features * self.scale - 1) ** 2).mean(1)


class Distances(nn.Module):
    """Logits are distances to centres; LibTorch's cdist has neither a second derivative nor a forward mode."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.tensor([[1.0, 0.2, -0.5], [-0.3, 0.8, 0.6], [0.1, -1.1, 0.4]]))

    def forward(self, features):
        return -torch.cdist(features, self.centres, compute_mode="donot_use_mm_for_euclid_dist")


class RoundedDistances(Distances):
    """And goes through bf16, so that double does not help either."""

    def forward(self, features):
        return super().forward(features).to(torch.bfloat16).float()


class Saddle(nn.Module):
    """Losses a * cos(w) + b * w at w = 0: curvature -a there, and a gradient of b."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, features):
        return features[:, 0] * torch.cos(self.w) + features[:, 1] * self.w


class Stopped(nn.Module):
    """A loss whose gradient holds part of it fixed: the gradient's derivative is not what a second backward pass gives."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, features):
        return (features * self.scale * self.scale.detach()).sum(1)


def save(model, name, argument, shape, folder):
    torch.export.save(export(model.eval(), {argument: torch.randn(4, *shape)}), folder / f"{name}.pt2")


def golden(model):
    """Losses of eight images with scaled pixels, and the gradient of the mean loss of the first four."""
    pixels = torch.randint(0, 256, (8, 1, 4, 4), dtype=torch.uint8)
    labels = torch.randint(0, 3, (8,))
    image = pixels.float() * 0.01 - 0.5
    logits = model(image)
    losses = F.cross_entropy(logits, labels, reduction="none")
    gradient = torch.autograd.grad(losses[:4].mean(), list(model.parameters()))
    others = logits.masked_fill(F.one_hot(labels, 3).bool(), -torch.inf)
    return {
        "pixels": pixels.flatten().tolist(),
        "labels": labels.tolist(),
        "losses": losses.tolist(),
        "probabilities": logits.softmax(1).gather(1, labels[:, None]).flatten().tolist(),
        "margins": (logits.gather(1, labels[:, None]).squeeze(1) - others.amax(1)).tolist(),
        "logits_2": logits[:, 2].tolist(),
        "logits_2_minus_0": (logits[:, 2] - logits[:, 0]).tolist(),
        "gradient": torch.cat([g.flatten() for g in gradient]).tolist(),
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    save(Linear(), "linear", "features", (3,), folder)
    save(OwnLosses(), "own_losses", "features", (2,), folder)
    small = Mlp(16, 6, 3)
    save(small, "small_mlp", "image", (1, 4, 4), folder)
    save(Mlp(784, 128, 10), "mlp", "image", (1, 28, 28), folder)
    save(ResNet(1, 4, 5), "small_resnet", "image", (3, 16, 16), folder)
    save(ResNet(3, 16, 10), "resnet20", "image", (3, 32, 32), folder)
    save(VisionTransformer(3, 16, 5, depth=1), "vit", "image", (3, 16, 16), folder)
    numbers = golden(small)
    save(Distances(), "distances", "features", (3,), folder)
    save(RoundedDistances(), "rounded_distances", "features", (3,), folder)
    save(Saddle(), "saddle", "features", (2,), folder)
    save(Stopped(), "stopped", "features", (2,), folder)
    (folder / "golden.json").write_text(json.dumps(numbers))


main()
