"""Figures of language models: the engine's rounds and PyTorch's, one after the other.

Both compute where BIF_TEST_DEVICE says, on the CPU by default.
"""

import json
import os
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

ROUNDS = 6
PAUSE_SECONDS = 0.1  # until the other side's threads sleep
DEVICE = os.environ.get("BIF_TEST_DEVICE", "cpu")
BATCHES = (8, 16, 32, 128)  # sequences; PyTorch gets the one that is fastest for it


class Engine:
    """lm_rounds_benchmark as a process that does one round when it is asked."""

    def __init__(self, command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.work = json.loads(self._process.stdout.readline())

    def seconds(self, name):
        print(name, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class PyTorch:
    """The same model, eager, on padded batches of sequences in the order in which they come."""

    def __init__(self, model, lengths):
        self._model, self._lengths = model, lengths
        self._vocabulary = model.lm_head.weight.shape[0]

    def padded(self, batch):
        """Token ids and targets of each batch: padded positions have the target -100."""
        torch.manual_seed(0)
        for first in range(0, len(self._lengths), batch):
            lengths = torch.tensor(self._lengths[first:first + batch])
            tokens = torch.randint(self._vocabulary, (len(lengths), int(lengths.max())))
            real = torch.arange(tokens.shape[1]) < lengths[:, None]
            yield tokens.to(DEVICE), tokens.masked_fill(~real, -100)[:, 1:].contiguous().to(DEVICE)

    def losses(self, tokens, targets):
        """The mean over each sequence's tokens, as the engine has it."""
        logits = self._model(tokens)[:, :-1]
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="none")
        return losses.view(targets.shape).sum(1) / (targets >= 0).sum(1)

    def trace(self, batches, draws):
        with torch.no_grad():
            for _ in range(draws):
                for tokens, targets in batches:
                    self.losses(tokens, targets)

    def fastest_trace(self, draws):
        """A function that traces once, with the best batch size."""
        def timed(batch):
            batches = list(self.padded(batch))
            return min(seconds(lambda: self.trace(batches, 1)) for _ in range(2))
        best = min(BATCHES, key=timed)
        batches = list(self.padded(best))
        return lambda: self.trace(batches, draws)

    def step(self, batch):
        """A function that does one SGLD step on a batch that is there already, all parameters in one vector."""
        tokens, targets = next(self.padded(batch))
        parameters = list(self._model.parameters())
        anchor = torch.cat([p.detach().flatten() for p in parameters])
        weights, gradient = anchor.clone(), torch.zeros_like(anchor)
        place = 0
        for p in parameters:
            p.data = weights[place:place + p.numel()].view_as(p)
            p.grad = gradient[place:place + p.numel()].view_as(p)
            place += p.numel()
        eps, nbeta, gamma = 1e-6, 10.0, 100.0

        def once():
            gradient.zero_()
            loss = self.losses(tokens, targets).mean()
            loss.backward()
            loss.item()
            drift = gradient.mul(nbeta).add_(weights - anchor, alpha=gamma)
            weights.add_(drift, alpha=-eps / 2).add_(torch.randn_like(weights), alpha=eps**0.5)
        return once


def seconds(work):
    wait = torch.cuda.synchronize if DEVICE != "cpu" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def alternating(engine, name, pytorch, rounds=ROUNDS):
    """(the engine's best, PyTorch's best) in seconds."""
    pytorch()  # the first call allocates
    engine.seconds(name)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(engine.seconds(name))
        time.sleep(PAUSE_SECONDS)
        theirs.append(seconds(pytorch))
        time.sleep(PAUSE_SECONDS)
    return min(ours), min(theirs)


def figures(command, make_model):
    """The ratios to PyTorch: name -> (value, unit). `command` runs lm_rounds_benchmark on the model that make_model() makes."""
    engine = Engine(command)
    work, found = engine.work, {}

    def ratio(figure, name, tokens, pytorch):
        ours, theirs = alternating(engine, name, pytorch)
        print(f"  {figure}: {tokens / ours:,.0f} tokens/s, PyTorch {tokens / theirs:,.0f}", file=sys.stderr)
        found[figure] = (theirs / ours, "x")
        return ours

    draws = work["draws"]
    ratio("lm_trace_vs_python", "trace", draws * sum(work["trace"]),
          PyTorch(make_model().to(DEVICE), work["trace"]).fastest_trace(draws))
    mixed = ratio("lm_trace_mixed_vs_python", "mixed", draws * sum(work["mixed"]),
                  PyTorch(make_model().to(DEVICE), work["mixed"]).fastest_trace(draws))
    ratio("lm_step_vs_python", "step", work["batch"] * work["trace"][0],
          PyTorch(make_model().to(DEVICE), work["trace"]).step(work["batch"]))
    if work["bf16_reason"]:
        print(f"  bf16: {work['bf16_reason']}", file=sys.stderr)
    else:
        bf16 = min(engine.seconds("mixed_bf16") for _ in range(ROUNDS))
        print(f"  mixed in bf16: {draws * sum(work['mixed']) / bf16:,.0f} tokens/s", file=sys.stderr)
        found["lm_bf16_vs_fp32"] = (mixed / bf16, "x")
        found["lm_bf16_rank_correlation"] = (work["bf16_rank_correlation"], "rho")
    engine.close()
    return found
