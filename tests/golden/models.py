"""Models that both generators of test programs export, and how a model is exported."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn

BATCH = torch.export.Dim("batch")


def export(model, arguments, shapes=None):
    """`arguments` by name. Without `shapes` the first dimension of each may have any size."""
    shapes = shapes or {name: {0: BATCH} for name in arguments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(model, tuple(arguments.values()), dynamic_shapes=shapes)


class Block(nn.Module):
    """A residual block of He et al. (arXiv 1512.03385) with the parameter-free shortcut, 'option A'."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pad = (outputs - inputs) // 2
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        y += x
        return F.relu(y)


class ResNet(nn.Module):
    """As in He et al., section 4.2: three stages of blocks; three a stage and a width of 16 is ResNet-20."""

    def __init__(self, blocks_per_stage, width, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks, inputs = [], width
        for stage in range(3):
            for block in range(blocks_per_stage):
                outputs = width << stage
                blocks.append(Block(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, image):
        y = self.blocks(F.relu(self.bn(self.conv(image))))
        return self.fc(F.avg_pool2d(y, y.size(3)).view(y.size(0), -1))


class VisionTransformer(nn.Module):
    """Square images in patches of 4 x 4, and a token of its own for the class."""

    def __init__(self, channels, side, classes, depth, dim=16, heads=2):
        super().__init__()
        self.patch = nn.Conv2d(channels, dim, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, 1 + (side // 4) ** 2, dim) * 0.02)
        self.heads = heads
        self.layers = nn.ModuleList()
        for _ in range(depth):
            self.layers.append(nn.ModuleDict({
                "norm1": nn.LayerNorm(dim), "qkv": nn.Linear(dim, 3 * dim), "out": nn.Linear(dim, dim),
                "norm2": nn.LayerNorm(dim), "up": nn.Linear(dim, 2 * dim), "down": nn.Linear(2 * dim, dim),
            }))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def attend(self, layer, x):
        batch, tokens, dim = x.shape
        qkv = layer["qkv"](x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return layer["out"](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, dim))

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        for layer in self.layers:
            x = x + self.attend(layer, layer["norm1"](x))
            x = x + layer["down"](F.gelu(layer["up"](layer["norm2"](x))))
        return self.head(self.norm(x)[:, 0])
