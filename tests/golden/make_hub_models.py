"""Small language models of the architectures that examples/export_language_model.py is for, exported by that recipe.

    python make_hub_models.py <output folder>

Every model has random weights and a folder like those of the Hub, with what makes them differ: names without the model's
prefix, masks among the weights, fp16, shards, tied weights, adapters. Beside the folder lie <name>.pt2, what PyTorch
computes with its own plain attention (<name>.expected.safetensors, see make_programs.py), and another checkpoint.
"""

import json
import pathlib
import sys

import torch
from make_programs import save_safetensors
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen2Config
from transformers.utils import logging

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples"))
from export_language_model import export_language_model, load_model  # noqa: E402
from lora import WEIGHTS, create_adapters, load_adapters  # noqa: E402

VOCABULARY = 61
SHAPES = {"input": (4, 7), "longer": (2, 23)}  # batch, tokens
GROUPED_ROTARY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                  "num_key_value_heads": 2, "max_position_embeddings": 64, "vocab_size": VOCABULARY}
CONFIGS = {
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0),
    "gpt_neox": GPTNeoXConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                              intermediate_size=64, rotary_pct=0.25, max_position_embeddings=64),
    "llama": LlamaConfig(**GROUPED_ROTARY, tie_word_embeddings=False),
    "llama_adapted": LlamaConfig(**GROUPED_ROTARY, tie_word_embeddings=False),
    "qwen2": Qwen2Config(**GROUPED_ROTARY, tie_word_embeddings=True),
}


def randomise(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


def rewrite(file, change):
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def without_prefix_and_with_masks(stored):
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 64, 64) for layer in range(2)}
    return {name.removeprefix("transformer."): tensor for name, tensor in stored.items()} | masks


def in_half_precision_with_masks(stored):
    masks = {f"gpt_neox.layers.{layer}.attention.masked_bias": torch.tensor(-1e9) for layer in range(2)}
    return {name: tensor.half() for name, tensor in stored.items()} | masks


def save_model(name, model, folder):
    model.save_pretrained(folder, max_shard_size="20kB" if name == "llama" else "1GB")
    if name == "gpt2":
        rewrite(folder / "model.safetensors", without_prefix_and_with_masks)
    if name == "gpt_neox":
        rewrite(folder / "model.safetensors", in_half_precision_with_masks)


def make(out, name, config):
    model = AutoModelForCausalLM.from_config(config)
    randomise(model)
    folder, adapter = out / name, None
    save_model(name, model, folder)
    if name == "llama_adapted":
        adapter = out / "llama_adapter"
        create_adapters(model, adapter, ["q_proj", "down_proj"], rank=3, alpha=6)
        rewrite(adapter / WEIGHTS, lambda stored: {key: torch.randn_like(value) * 0.2 for key, value in stored.items()})

    def load(attention):
        loaded, stored = load_model(folder)
        loaded.set_attn_implementation(attention)
        return loaded, stored | (load_adapters(loaded, adapter) if adapter else {})

    model, stored = load("sdpa")
    names = export_language_model(model, stored, out / f"{name}.pt2")

    model, _ = load("eager")
    tokens = {key: torch.randint(VOCABULARY, shape) for key, shape in SHAPES.items()}
    logits = {key: model(value, use_cache=False).logits for key, value in tokens.items()}
    probe = torch.randn(logits["input"].shape)
    loss = (logits["input"] * probe).sum()
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    expected = {f"{key}.tokens": value for key, value in tokens.items()}
    expected |= {"output": logits["input"], "longer_output": logits["longer"], "probe": probe, "loss": loss}
    expected |= {f"grad.{names[key]}": value for key, value in zip(parameters, gradients)}

    randomise(model)
    weights = {names[key]: value.detach().clone() for key, value in model.named_parameters()}
    save_safetensors(out / f"{name}.weights.safetensors", weights)
    expected["other_output"] = model(tokens["input"], use_cache=False).logits
    save_safetensors(out / f"{name}.expected.safetensors", expected)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for name, config in CONFIGS.items():
        make(out, name, config)


if __name__ == "__main__":
    main()
