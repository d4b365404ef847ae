"""A Llama of two layers and what samplers need around it, the same numbers on every machine.

Plain PyTorch, so that it runs in double precision throughout (that of transformers normalises in fp32). Everything random
comes from numpy's RandomState, whose streams are frozen, and is rounded to fp32.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY, WIDTH, HIDDEN, LAYERS, HEADS, KEY_HEADS = 29, 16, 24, 2, 4, 2
HEAD_WIDTH = WIDTH // HEADS


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Attention(nn.Module):
    """Rotary positions, two query heads to each key head, causal."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, HEADS * HEAD_WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, KEY_HEADS * HEAD_WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, KEY_HEADS * HEAD_WIDTH, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_WIDTH, WIDTH, bias=False)

    def forward(self, x, cosine, sine):
        def heads(y, number):
            return y.view(y.shape[0], y.shape[1], number, HEAD_WIDTH).transpose(1, 2)

        def rotate(y):
            first, second = y.chunk(2, dim=-1)
            return y * cosine + torch.cat([-second, first], dim=-1) * sine

        q, k = rotate(heads(self.q_proj(x), HEADS)), rotate(heads(self.k_proj(x), KEY_HEADS))
        v = heads(self.v_proj(x), KEY_HEADS)
        k, v = (y.repeat_interleave(HEADS // KEY_HEADS, dim=1) for y in (k, v))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down_proj = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.mlp = Mlp()
        self.input_layernorm = RmsNorm()
        self.post_attention_layernorm = RmsNorm()

    def forward(self, x, cosine, sine):
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class SmallLlama(nn.Module):
    """Token ids [batch, tokens] to logits [batch, tokens, vocabulary]."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RmsNorm()
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        random = np.random.RandomState(0)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                noise = torch.from_numpy(random.standard_normal(tuple(parameter.shape)).astype(np.float32))
                parameter.copy_(noise * 0.1 + 1 if "norm" in name else noise * 0.3)

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        position = torch.arange(tokens.shape[1], device=x.device).to(x.dtype)
        frequency = 100.0 ** (-torch.arange(0, HEAD_WIDTH, 2, device=x.device).to(x.dtype) / HEAD_WIDTH)
        angle = (position[:, None] * frequency).repeat(1, 2)
        for layer in self.layers:
            x = layer(x, angle.cos(), angle.sin())
        return self.lm_head(self.norm(x))


def token_losses(model, tokens):
    """[batch, tokens - 1]: how badly each token but the first is predicted from those before."""
    predictions = F.log_softmax(model(tokens)[:, :-1], dim=-1)
    return -predictions.gather(2, tokens[:, 1:, None]).squeeze(2)


def sequences(count, shortest, longest, seed):
    random = np.random.RandomState(seed)
    return [torch.from_numpy(random.randint(0, VOCABULARY, random.randint(shortest, longest + 1))) for _ in range(count)]
