"""Low-rank adapters (LoRA, arXiv 2106.09685) as parameters of a program, kept in the files that PEFT keeps them in.

An adapter adds (alpha / rank) * B A x to what a layer makes of x. bifd's preset `lora` selects A and B by their names, and
the weights that they adapt stand still.
"""

import json
import math
import pathlib

import torch
from safetensors.torch import load_file, save_file
from torch import nn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # before a parameter's name in adapter_model.safetensors
UNSUPPORTED = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "lora_bias")


def load_adapters(model, folder):
    """Adds the adapters in `folder` to `model`. Returns their tensors by the names in the file."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / CONFIG).read_text())
    beyond = [key for key in UNSUPPORTED if config.get(key)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or beyond:
        raise SystemExit(f"{folder}: only plain LoRA is supported, without biases {' '.join(beyond)}")
    for _, layer in layers_named(model, config["target_modules"]):
        inputs, outputs = inputs_and_outputs(layer)
        layer.lora_A = nn.Linear(inputs, config["r"], bias=False)
        layer.lora_B = nn.Linear(config["r"], outputs, bias=False)
        layer.register_forward_hook(Adapt(config["lora_alpha"] / config["r"]))
    stored = load_file(folder / WEIGHTS)
    found = model.load_state_dict({name.removeprefix(PREFIX): tensor for name, tensor in stored.items()}, strict=False)
    missing = [name for name in found.missing_keys if ".lora_" in name]
    if missing or found.unexpected_keys:
        raise SystemExit(f"{folder} does not fit the model: missing {missing}, not in the model {found.unexpected_keys}")
    return stored


def create_adapters(model, folder, targets, rank, alpha):
    """Writes fresh adapters for `model` to `folder`. B is 0, so they change nothing yet."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, layer in layers_named(model, targets):
        inputs, outputs = inputs_and_outputs(layer)
        tensors[f"{PREFIX}{name}.lora_A.weight"] = nn.init.kaiming_uniform_(torch.empty(rank, inputs), a=math.sqrt(5))
        tensors[f"{PREFIX}{name}.lora_B.weight"] = torch.zeros(outputs, rank)
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha, "target_modules": targets}))


def layers_named(model, targets):
    layers = [(name, module) for name, module in model.named_modules() if name.rpartition(".")[2] in targets]
    if not layers:
        raise SystemExit(f"the model has no layer named {' or '.join(targets)}")
    return layers


def inputs_and_outputs(layer):
    rows, columns = layer.weight.shape
    return (rows, columns) if type(layer).__name__ == "Conv1D" else (columns, rows)  # GPT-2's weights lie transposed


class Adapt:
    """A layer's forward hook: adds what the adapter says."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, layer, arguments, output):
        return output + self.scale * layer.lora_B(layer.lora_A(arguments[0]))
