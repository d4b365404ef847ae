"""Twenty steps of both samplers on a small Llama, in double precision, with given batches and noise.

    python llama_sampling.py      writes llama_sampling.json beside itself: the numbers to agree with

make_small_llama.py gives the engine the same model, batches and noise. The formulas are those of docs/attribution.md, written down once more.
"""

import json
import pathlib

import numpy as np
import torch
from small_llama import SmallLlama, sequences, token_losses

STEPS, BATCH = 20, 4
EPS, NBETA, GAMMA, LAMBDA, ALPHA, DELTA = 1e-4, 30.0, 100.0, 0.1, 0.99, 0.1
SEQUENCES = sequences(count=12, shortest=4, longest=11, seed=1)
EVERY = 17  # of the final weights, every so-manieth is kept


def batches():
    random = np.random.RandomState(2)
    return np.stack([random.permutation(len(SEQUENCES))[:BATCH] for _ in range(STEPS)])


def noise(parameters):
    """[steps, parameters], in fp32."""
    return torch.from_numpy(np.random.RandomState(3).standard_normal((STEPS, parameters)).astype(np.float32))


def sequence_loss(model, tokens, reduction):
    losses = token_losses(model, tokens[None])
    return losses.mean() if reduction == "mean" else losses.sum()


def sample(algorithm, reduction):
    model = SmallLlama().double()
    parameters = list(model.parameters())
    xi = noise(sum(p.numel() for p in parameters)).double()
    anchor = torch.nn.utils.parameters_to_vector(parameters).detach()
    w, v = anchor.clone(), torch.zeros_like(anchor)
    losses = []
    for step, batch in enumerate(batches()):
        torch.nn.utils.vector_to_parameters(w, parameters)
        loss = torch.stack([sequence_loss(model, SEQUENCES[row], reduction) for row in batch]).mean()
        losses.append(loss.item())
        g = torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)])
        d = NBETA * g + LAMBDA * w + GAMMA * (w - anchor)
        if algorithm == "sgld":
            w = w - EPS / 2 * d + EPS**0.5 * xi[step]
        else:
            v = ALPHA * v + (1 - ALPHA) * g * g
            preconditioner = 1 / (v.sqrt() + DELTA)
            w = w - EPS / 2 * preconditioner * d + (EPS * preconditioner).sqrt() * xi[step]
    return {"losses": losses, "weights": w[::EVERY].tolist(), "distance": (w - anchor).norm().item()}


def main():
    torch.set_num_threads(1)
    settings = {"steps": STEPS, "step_size": EPS, "nbeta": NBETA, "gamma": GAMMA, "weight_decay": LAMBDA, "rms_decay": ALPHA,
                "rms_delta": DELTA, "every": EVERY}
    runs = {f"{algorithm}_{reduction}": sample(algorithm, reduction)
            for algorithm in ("sgld", "rmsprop_sgld") for reduction in ("mean", "sum")}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps({"settings": settings, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
