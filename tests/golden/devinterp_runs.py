"""What devinterp 2.0.1 samples from its seeds alone, and the influences that it computes from that.

    python -m venv scratch && scratch/bin/pip install devinterp==2.0.1 && scratch/bin/python devinterp_runs.py

writes devinterp_runs.json beside itself. The package is needed for nothing else, so it is no dependency of ours. Its
streams: tests/golden/README.md.
"""

import json
import pathlib
import tempfile

import numpy as np
import torch
from datasets import Dataset
from devinterp.slt.bif import compute_bif
from devinterp.slt.sampling import sample
from small_llama import SmallLlama, sequences, token_losses

LENGTH, ROWS, BATCH, CHAINS, STEPS, EVERY = 8, 11, 4, 2, 20, 17
SEED = 100
TOKENS = torch.stack(sequences(count=ROWS, shortest=LENGTH, longest=LENGTH, seed=4))
COMMON = {"n_beta": 30.0, "localization": 100.0, "llc_weight_decay": 0.1, "lr": 1e-4}
RUNS = {
    "sgld": {"sampling_method": "sgmcmc_sgld"},
    "rmsprop_sgld": {"sampling_method": "rmsprop_sgld", "rmsprop_eps": 0.1, "rmsprop_alpha": 0.99},
    "attention_in_a_box": {"sampling_method": "sgmcmc_sgld", "bounding_box_size": 0.02, "noise_level": 0.7},
}


def run(name, settings, folder):
    model = SmallLlama().eval()
    moving = [key for key, _ in model.named_parameters() if name != "attention_in_a_box" or "self_attn" in key]
    final = []

    def losses(sampled, tokens):
        # Observables are evaluated after a step and without gradients, so the last such call sees a chain's last weights.
        if not torch.is_grad_enabled():
            named = dict(sampled.named_parameters())
            final.append((id(sampled), torch.cat([named[key].detach().flatten() for key in moving])[::EVERY].tolist()))
        return token_losses(sampled, tokens)

    dataset = Dataset.from_dict({"input_ids": TOKENS.tolist()}).with_format("torch")
    result = sample(model, dataset, {"rows": (dataset, 1)}, param_masks={key: None for key in moving}, num_chains=CHAINS,
                    num_draws=STEPS, batch_size=BATCH, init_seed=SEED, num_init_loss_batches=1, device="cpu",
                    output_path=folder / name, loss_fn=losses, **COMMON, **settings)
    # One call before sampling a chain's first step is the loss at w*; then one a draw.
    draws = [weights for _, weights in final][-CHAINS * STEPS:]
    influences = {
        f"{method}_{reduction}_{'covariance' if covariance else 'correlation'}": compute_bif(
            result, correlation_method=method, reduce_chain_dimension_method=reduction, compute_covariance=covariance,
            device="cpu").influences.values
        for method in ("sequence", "token") for reduction in ("stack", "mean") for covariance in (False, True)}
    return {
        "settings": COMMON | settings,
        "moving": moving if name == "attention_in_a_box" else [],
        "losses": result.sampling_loss_micro.values.mean(axis=(2, 3)).tolist(),
        "weights": [draws[(chain + 1) * STEPS - 1] for chain in range(CHAINS)],
        "observed": result.loss_rows.values.tolist(),
        # Token-wise: of the first two sequences alone.
        "influences": {key: (value if key.startswith("sequence") else value[0, 1]).tolist() for key, value in influences.items()},
    }


def rounded(value):
    """Eight significant digits: what fp32 holds."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(np.format_float_scientific(value, 8)) if isinstance(value, float) else value


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: run(name, settings, pathlib.Path(folder)) for name, settings in RUNS.items()}
    for name in ("rmsprop_sgld", "attention_in_a_box"):  # one run is enough to compare estimators on
        del runs[name]["observed"], runs[name]["influences"]
    shape = {"seed": SEED, "rows": ROWS, "length": LENGTH, "batch": BATCH, "chains": CHAINS, "steps": STEPS, "every": EVERY}
    document = {"shape": shape, "tokens": TOKENS.flatten().tolist(), "runs": rounded(runs)}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
