"""Small language models for the tests and benchmarks of sampling, and what PyTorch computes of them in double precision.

usage: make_language_models.py FOLDER     writes *.pt2 and language_golden.json

The four architectures are written with plain torch.nn, after the shape that Hugging Face's transformers export: rotary
frequencies under no_grad, grouped queries, Conv1D, fused queries, tied heads.
"""

import copy
import json
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

LLAMA_260K = (512, 64, 5, 8, 4, 172)  # of the benchmarks: vocabulary, width, layers, heads, key heads, inner width


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Rotary(nn.Module):
    """Cosines and sines of the first `size` entries of every head (arXiv 2104.09864)."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("frequencies", 1e4 ** (-torch.arange(0, size, 2).float() / size), persistent=False)

    @torch.no_grad()
    def forward(self, x):
        angles = torch.arange(x.shape[1], device=x.device)[:, None] * self.frequencies
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


def rotate(x, cos, sin):
    size = cos.shape[-1]
    turned, rest = x[..., :size], x[..., size:]
    first, second = turned.chunk(2, -1)
    return torch.cat([turned * cos + torch.cat([-second, first], -1) * sin, rest], -1)


class LlamaLayer(nn.Module):
    def __init__(self, width, heads, kv_heads, inner, bias):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.input_norm = RmsNorm(width)
        self.q_proj = nn.Linear(width, width, bias=bias)
        self.k_proj = nn.Linear(width, kv_heads * self.size, bias=bias)
        self.v_proj = nn.Linear(width, kv_heads * self.size, bias=bias)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.mlp_norm = RmsNorm(width)
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def split(self, x, heads):
        return x.view(x.shape[0], x.shape[1], heads, self.size).transpose(1, 2)

    def repeated(self, x):
        batch, heads, length, size = x.shape
        times = self.heads // heads
        return x[:, :, None].expand(batch, heads, times, length, size).reshape(batch, heads * times, length, size)

    def attend(self, x, cos, sin):
        q = rotate(self.split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(self.split(self.k_proj(x), self.kv_heads), cos, sin)
        v = self.split(self.v_proj(x), self.kv_heads)
        y = F.scaled_dot_product_attention(q, self.repeated(k), self.repeated(v), is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(x.shape))

    def forward(self, x, cos, sin):
        x = x + self.attend(self.input_norm(x), cos, sin)
        y = self.mlp_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Llama(nn.Module):
    """With bias and tied it is Qwen2."""

    def __init__(self, vocabulary=32, width=16, layers=2, heads=4, kv_heads=2, inner=40, bias=False, tied=False):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.rotary = Rotary(width // heads)
        self.layers = nn.ModuleList(LlamaLayer(width, heads, kv_heads, inner, bias) for _ in range(layers))
        self.norm = RmsNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.lm_head.weight = self.embed_tokens.weight

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        cos, sin = self.rotary(x)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.norm(x))


class Conv1D(nn.Module):
    """A linear layer that keeps its weight transposed."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.1)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)


class Gpt2Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = Conv1D(width, 4 * width)
        self.mlp_proj = Conv1D(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.c_attn(self.ln_1(x)).split(width, 2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary=32, width=16, layers=2, heads=2, context=64):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(Gpt2Layer(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.h:
            x = layer(x)
        return self.lm_head(self.ln_f(x))


class NeoXLayer(nn.Module):
    """Attention and MLP side by side; a quarter of each head is rotated; the mask is a tensor."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.input_layernorm = nn.LayerNorm(width)
        self.post_attention_layernorm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)
        self.dense_h_to_4h = nn.Linear(width, 4 * width)
        self.dense_4h_to_h = nn.Linear(4 * width, width)

    def forward(self, x, cos, sin):
        batch, length, width = x.shape
        qkv = self.query_key_value(self.input_layernorm(x)).view(batch, length, self.heads, -1).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, attn_mask=mask)
        attended = self.dense(y.transpose(1, 2).reshape(batch, length, width))
        return x + attended + self.dense_4h_to_h(F.gelu(self.dense_h_to_4h(self.post_attention_layernorm(x))))


class NeoX(nn.Module):
    def __init__(self, vocabulary=32, width=16, layers=2, heads=2):
        super().__init__()
        self.embed_in = nn.Embedding(vocabulary, width)
        self.rotary = Rotary(width // heads // 4)
        self.layers = nn.ModuleList(NeoXLayer(width, heads) for _ in range(layers))
        self.final_layer_norm = nn.LayerNorm(width)
        self.embed_out = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.embed_in(tokens)
        cos, sin = self.rotary(x)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.embed_out(self.final_layer_norm(x))


class WithoutHead(nn.Module):
    """Ends with something else than a linear layer: nothing can be left out of a run."""

    def __init__(self):
        super().__init__()
        self.model = Llama(layers=1)

    def forward(self, tokens):
        return self.model(tokens) * 2.0


def export(model, name, folder, longest=None):
    tokens = torch.randint(0, 32, (3, 8))
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=longest)}
    program = torch.export.export(model.eval(), (), {"tokens": tokens}, dynamic_shapes={"tokens": sizes})
    torch.export.save(program, folder / f"{name}.pt2")


def token_losses(model, tokens):
    logits = model(tokens[None, :-1])[0]
    return F.cross_entropy(logits, tokens[1:], reduction="none"), logits


def mixed_precision(model, rows):
    """What torch.autocast gives: the losses, and the gradient of the mean of the first four."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = [model(row[None, :-1])[0] for row in rows]
    losses = [F.cross_entropy(each.float(), row[1:]) for each, row in zip(logits, rows)]
    gradient = torch.autograd.grad(sum(losses[:4]) / 4, list(model.parameters()))
    return {"losses": [float(loss) for loss in losses], "gradient": torch.cat([g.flatten() for g in gradient]).tolist()}


def golden(model):
    """Every sequence alone, without padding, in double. The gradient is that of the mean of the first four losses."""
    fp32, model = model, copy.deepcopy(model).double()
    rows = [torch.randint(0, 32, (length,)) for length in (7, 3, 12, 12, 2, 9)]
    masks = [torch.randint(0, 2, (len(row),)) for row in rows]
    for mask in masks:
        mask[-1] = 1
    losses, means, margins, probabilities = [], [], [], []
    for row, mask in zip(rows, masks):
        loss, logits = token_losses(model, row)
        counted = mask[1:].bool()
        others = logits.masked_fill(F.one_hot(row[1:], 32).bool(), -torch.inf).amax(1)
        losses.append(loss)
        means.append(loss[counted].mean())
        margins.append((logits.gather(1, row[1:, None]).squeeze(1) - others)[counted].mean())
        probabilities.append((-loss[counted]).exp().mean())
    first = token_losses(model, rows[3])[1]
    gradients = {}
    for name, reduced in [("mean", means[:4]), ("sum", [l[m[1:].bool()].sum() for l, m in zip(losses[:4], masks)])]:
        found = torch.autograd.grad(sum(reduced) / 4, list(model.parameters()), retain_graph=True)
        gradients[name] = torch.cat([g.flatten() for g in found]).tolist()
    return {
        "tokens": [row.tolist() for row in rows],
        "masks": [mask.tolist() for mask in masks],
        "token_losses": [loss.tolist() for loss in losses],
        "means": [float(mean) for mean in means],
        "margins": [float(margin) for margin in margins],
        "probabilities": [float(probability) for probability in probabilities],
        "logits_of_row_3": first.tolist(),
        "gradients": gradients,
        "bf16": mixed_precision(fp32, rows),
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    models = {
        "llama": Llama(),
        "qwen2": Llama(bias=True, tied=True),
        "gpt2": Gpt2(),
        "neox": NeoX(),
        "without_head": WithoutHead(),
    }
    for name, model in models.items():
        export(model, name, folder, longest=64 if name == "gpt2" else None)
    export(Llama(*LLAMA_260K), "llama_260k", folder)
    (folder / "language_golden.json").write_text(json.dumps({name: golden(model) for name, model in models.items()}))


if __name__ == "__main__":
    main()
