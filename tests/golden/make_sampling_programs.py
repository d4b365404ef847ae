"""Programs for the tests and benchmarks of sampling, and what PyTorch computes of them.

usage: make_sampling_programs.py FOLDER     writes *.pt2 and golden.json
"""

import json
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F


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


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.pad = channels_out - channels_in
        self.stride = stride

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.pad))
        return torch.relu(x + y)


class ResNet(nn.Module):
    """As in He et al. 2016, section 4.2: three stages of n blocks; n = 3 is ResNet-20."""

    def __init__(self, n, width=16, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks, channels = [], width
        for stage, out in enumerate([width, 2 * width, 4 * width]):
            for i in range(n):
                blocks.append(Block(channels, out, 2 if stage > 0 and i == 0 else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, classes)

    def forward(self, image):
        y = self.blocks(torch.relu(self.bn(self.conv(image))))
        return self.head(y.mean((2, 3)))


class Vit(nn.Module):
    """A vision transformer of one layer with patches of 4 x 4."""

    def __init__(self, width=16, heads=2, classes=5):
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 16, width) * 0.1)
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Linear(width, classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2) + self.position
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(attended)
        return self.head((x + self.mlp(self.norm2(x))).mean(1))


def export(model, name, argument, shape, folder):
    dynamic = {argument: {0: torch.export.Dim("batch")}}
    program = torch.export.export(model.eval(), (), {argument: torch.randn(4, *shape)}, dynamic_shapes=dynamic)
    torch.export.save(program, folder / f"{name}.pt2")


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
        "gradient": torch.cat([g.flatten() for g in gradient]).tolist(),
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    export(Linear(), "linear", "features", (3,), folder)
    export(OwnLosses(), "own_losses", "features", (2,), folder)
    small = Mlp(16, 6, 3)
    export(small, "small_mlp", "image", (1, 4, 4), folder)
    export(Mlp(784, 128, 10), "mlp", "image", (1, 28, 28), folder)
    export(ResNet(1, width=4, classes=5), "small_resnet", "image", (3, 16, 16), folder)
    export(ResNet(3), "resnet20", "image", (3, 32, 32), folder)
    export(Vit(), "vit", "image", (3, 16, 16), folder)
    (folder / "golden.json").write_text(json.dumps(golden(small)))


main()
