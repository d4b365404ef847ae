"""The small Llama as a program, and the sequences, batches and noise of llama_sampling.py.

usage: make_small_llama.py FOLDER     writes small_llama.pt2 and small_llama_inputs.safetensors
"""

import pathlib
import sys

import numpy as np
import torch
from llama_sampling import SEQUENCES, batches, noise
from models import BATCH, export
from safetensors.torch import save_file
from small_llama import SmallLlama


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = SmallLlama().eval()
    program = export(model, {"tokens": torch.zeros(2, 5, dtype=torch.long)},
                     {"tokens": {0: BATCH, 1: torch.export.Dim("length")}})
    torch.export.save(program, folder / "small_llama.pt2")
    save_file({
        "noise": noise(sum(parameter.numel() for parameter in model.parameters())),
        "batches": torch.from_numpy(batches().astype(np.int32)),
        "lengths": torch.tensor([len(tokens) for tokens in SEQUENCES], dtype=torch.int32),
        "tokens": torch.cat(SEQUENCES).int(),
    }, folder / "small_llama_inputs.safetensors")


main()
