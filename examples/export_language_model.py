"""Turns a Hugging Face causal language model into a program (.pt2) for bifd, whose weights are the folder's own files.

usage: export_language_model.py FOLDER --out model.pt2
       export_language_model.py FOLDER --out model.pt2 --adapter FOLDER           with low-rank adapters, as PEFT keeps them
       export_language_model.py FOLDER --out model.pt2 --new-adapter FOLDER       with fresh ones, which it writes there

FOLDER is what `model.save_pretrained(FOLDER)` wrote, or a clone from the Hub: config.json and model.safetensors, or the
shards of model.safetensors.index.json. Nothing is downloaded. Tried with GPT-2, GPT-NeoX (Pythia), Llama and Qwen2.

The program is the graph alone, a few hundred kilobytes: token ids [batch, tokens] in, logits [batch, tokens, vocabulary]
out, for any batch and any length up to the model's positions. It knows its parameters by the names in the folder's files.
So those files are the checkpoint as they lie there, and so are those of every sibling: other steps of the training run,
fine-tuned versions. What is stored as bf16 or fp16 becomes fp32 when it is loaded.

    bifctl program create model.pt2 --loss next-token --target tokens --input tokens=tokens
    bifctl checkpoint create --program PROGRAM --weights FOLDER/model.safetensors

With adapters the weights are ADAPTER/model.safetensors, which the recipe writes: the model's tensors and the adapters'.
"""

import argparse
import io
import json
import pathlib
import warnings
import zipfile

import torch
from lora import PREFIX as ADAPTER_PREFIX
from lora import create_adapters, load_adapters
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AttentionInterface, AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

WEIGHTS = "model.safetensors"

# As "sdpa", but nobody makes a mask for it: it is told that it is causal. Rows are padded on the right, so no more is
# needed, and a mask of length x length would be slower.
AttentionInterface.register("causal_sdpa", sdpa_attention_forward)


def load_model(folder):
    """The model in `folder`, in fp32, and its tensors as they are stored: name -> tensor."""
    folder = pathlib.Path(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    stored = {}
    for file in weight_files(folder):
        stored |= load_file(file)
    return model, stored


def weight_files(folder):
    index, file = folder / f"{WEIGHTS}.index.json", folder / WEIGHTS
    if index.exists():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    if not file.exists():
        raise SystemExit(f"{folder} has no {WEIGHTS}: load the model with transformers and save_pretrained() it")
    return [file]


def export_language_model(model, stored, path):
    """Exports `model` to `path`. The program knows its parameters by their names in `stored`, the tensors that the model
    was loaded from. Returns these names by the model's own."""
    gone = use_one_name_for_tied_weights(model)
    names = stored_names(model, stored)
    # What the model has no use for: old checkpoints hold masks and rotary frequencies, and tied weights may lie there
    # twice. A program refuses weights that it does not know, so it gets to know them as buffers that no node reads.
    model.unused = nn.Module()
    for i, name in enumerate(sorted((stored.keys() | gone) - set(names.values()))):
        model.unused.register_buffer(str(i), torch.zeros(()))
        names[f"unused.{i}"] = name

    program = trace(model)
    for spec in program.graph_signature.input_specs:
        spec.target = names.get(spec.target, spec.target)
    weights = {names[name]: tensor for name, tensor in program.state_dict.items()}
    program.state_dict.clear()
    program.state_dict.update(weights)
    save_graph(program, path)
    return names


class TiedHead(nn.Module):
    """The output layer of a model that uses its embedding's weight there too."""

    def __init__(self, embedding):
        super().__init__()
        self._embedding = (embedding,)  # in a tuple, so that it is no submodule, with a second name, of this one

    def forward(self, hidden):
        return nn.functional.linear(hidden, self._embedding[0].weight)


def use_one_name_for_tied_weights(model):
    """Returns the names that are gone."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head.weight is not embedding.weight:
        return set()
    name = next(name for name, module in model.named_modules() if module is head)
    model.set_submodule(name, TiedHead(embedding))
    return {f"{name}.weight"}


def stored_names(model, stored):
    """Name of a parameter -> name in the files. Mostly they are equal, but some files leave out the model's prefix, and
    transformers has new names for a few: those are told by their values."""
    prefix = model.base_model_prefix + "."

    def is_in(name, tensor):
        return name in stored and stored[name].shape == tensor.shape and torch.equal(stored[name].to(tensor.dtype), tensor)

    names, left = {}, []
    for name, tensor in model.state_dict().items():
        likely = (name, name.removeprefix(prefix), prefix + name, ADAPTER_PREFIX + name)
        found = next((other for other in likely if is_in(other, tensor)), None)
        if found:
            names[name] = found
        else:
            left.append((name, tensor))
    for name, tensor in left:
        found = [other for other in stored.keys() - set(names.values()) if is_in(other, tensor)]
        if len(found) != 1:
            raise SystemExit(f"which tensor of the files is '{name}'? " +
                             (f"Any of {', '.join(sorted(found))}" if found else "None has its values"))
        names[name] = found[0]
    return names


def trace(model):
    """Exports forward(tokens) -> logits, and compares what that gives with what the model gives."""
    class Logits(type(model)):  # not a wrapper, which would put its own name before all others
        def forward(self, tokens):
            return super().forward(input_ids=tokens, use_cache=False).logits

    vocabulary, positions = model.config.vocab_size, model.config.max_position_embeddings
    example, probe = torch.randint(vocabulary, (3, 5)), torch.randint(vocabulary, (2, min(positions, 9)))
    model.__class__ = Logits
    model.requires_grad_(True)
    with torch.no_grad():
        wanted = model(probe)
    if not getattr(model.config, "sliding_window", None):
        model.set_attn_implementation("causal_sdpa")
    shapes = {"tokens": {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=positions)}}
    program = torch.export.export(model, (example,), dynamic_shapes=shapes)
    with torch.no_grad():
        error = (program.module()(probe) - wanted).abs().max()
    if error > 1e-4 * max(1, wanted.abs().max()):
        raise SystemExit(f"the program's logits are off by {error:.1e}: this architecture is not supported")
    return program


def save_graph(program, path):
    """Saves a program without its weights, which torch.export.save puts beside the graph."""
    for name, tensor in program.state_dict.items():
        hollow = tensor.detach().new_zeros(()).expand(tensor.shape)  # one number in memory
        program.state_dict[name] = nn.Parameter(hollow) if isinstance(tensor, nn.Parameter) else hollow
    whole = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not used to hollow tensors
        torch.export.save(program, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as graph:
        for entry in archive.infolist():
            if entry.filename.endswith("/data/weights/model_weights_config.json"):
                graph.writestr(entry, json.dumps({"config": {}}))
            elif "/data/weights/" not in entry.filename:
                graph.writestr(entry, archive.read(entry))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    adapters = parser.add_mutually_exclusive_group()
    adapters.add_argument("--adapter", type=pathlib.Path, help="a folder with adapter_model.safetensors")
    adapters.add_argument("--new-adapter", type=pathlib.Path, help="where fresh adapters go")
    parser.add_argument("--rank", type=int, default=8, help="of fresh adapters")
    parser.add_argument("--targets", nargs="+", default=["q_proj", "v_proj"], help="layers that get fresh adapters")
    args = parser.parse_args()

    model, stored = load_model(args.folder)
    if args.new_adapter:
        create_adapters(model, args.new_adapter, args.targets, args.rank, alpha=2 * args.rank)
    if adapter := args.adapter or args.new_adapter:
        stored |= load_adapters(model, adapter)
        save_file(stored, adapter / WEIGHTS, {"format": "pt"})
    export_language_model(model, stored, args.out)
    print(f"{args.out}: {args.out.stat().st_size // 1024} KiB; up to {model.config.max_position_embeddings} tokens of a "
          f"vocabulary of {model.config.vocab_size}")


if __name__ == "__main__":
    main()
