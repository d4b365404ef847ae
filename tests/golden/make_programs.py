"""Exports the programs that the engine's tests run, with what PyTorch itself computes from them.

    python make_programs.py <output folder>

Each good program gives <name>.pt2 and <name>.expected.safetensors with
    input.<name>     the arguments of one call, in the order of expected.json's "inputs"
    output           the program's first output
    loss             the sum of output * probe, and probe
    grad.<param>     the gradient of loss with respect to each parameter
<name>.weights.safetensors holds other weights with the same names, and other_output what they give. Bad programs are .pt2
files that must be refused. Everything is seeded, so the files say the same on every machine (up to rounding).
"""

import json
import pathlib
import struct
import sys
import zipfile

import torch
import torch.nn.functional as F
from torch import nn

from models import BATCH, ResNet, VisionTransformer, export

DTYPE_NAMES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}


def save_safetensors(path, tensors):
    """The format is eight bytes of header length, a JSON header, and the bytes one after the other."""
    header, chunks, offset = {}, [], 0
    for name, tensor in tensors.items():
        data = bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 16)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(16, 3)

    def forward(self, image):
        return self.fc2(self.drop(F.relu(self.fc1(image.flatten(1)))))


class OwnLosses(nn.Module):
    """Two inputs of different dtypes, and losses as the output."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, features, label):
        logits = self.fc(features)
        return -F.log_softmax(logits, dim=-1).gather(1, label.unsqueeze(1)).squeeze(1)


class NoGradInside(nn.Module):
    """Under no_grad a part that must not carry gradients, a buffer that is not saved and a lifted constant."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 2)
        self.register_buffer("scale", torch.arange(1.0, 5.0), persistent=False)

    def forward(self, features):
        hidden = torch.tanh(self.fc1(features))
        with torch.no_grad():
            gate = torch.sigmoid(hidden * self.scale + torch.tensor([0.5, 0.25, 0.0, -1.0]))
            with torch.enable_grad():
                bias = torch.cos(gate)
        return self.fc2(hidden * gate + bias)


class TinyLanguageModel(nn.Module):
    """Embedding and head are one tensor; the length is dynamic too, with masks made in place from sizes."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        length = tokens.shape[1]
        x = self.embed(tokens)
        x = x[:, torch.arange(length).flip(0)].flip(1)  # nothing but an index with a gap, [None, order]
        mask = torch.zeros(length, length).masked_fill_(
            torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
        scores = torch.softmax(x @ x.transpose(1, 2) / 8**0.5 + mask, dim=-1)
        first, second = (scores @ x + length // 2 * 0.01).chunk(2, dim=-1)
        logits = self.head(self.norm(torch.cat([second, first], dim=-1)))
        nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
        return nll.mean(dim=1)


class Bigram(nn.Module):
    """Logits [batch, tokens, vocabulary]; with segments, a second input of the same length."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.segment = nn.Embedding(3, 8)
        self.head = nn.Linear(8, 11)

    def forward(self, tokens, segments=None):
        x = self.embed(tokens)
        if segments is not None:
            x = x + self.segment(segments)
        return self.head(x)


class TrainingBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.bn = nn.BatchNorm1d(4)

    def forward(self, features):
        return self.bn(self.fc(features))


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, features):
        self.calls.add_(1)
        return self.fc(features) + self.calls


class ChangesItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, features):
        features.view(-1, 4).mul_(2)
        return self.fc(features)


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, features):
        return self.fc(features + torch.rand_like(features))


class Sorted(nn.Module):
    """Branches on data, which export keeps as a higher-order operator."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, features):
        return torch.cond(features.sum() > 0, lambda x: self.fc(x), lambda x: self.fc(-x), (features,))


@torch.library.custom_op("bif_test::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@twice.register_fake
def _(x):
    return torch.empty_like(x)


class CustomOperator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, features):
        return twice(self.fc(features))


class MeanLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, features):
        return self.fc(features).square().mean()


def randomise(model):
    """Weights and statistics that are neither zeros nor ones, so that a mixed-up buffer shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


def make_good(folder, name, model, arguments, shapes=None, decompose=False):
    model.eval()
    randomise(model)
    program = export(model, {key: value[:3] for key, value in arguments.items()}, shapes)
    if decompose:
        program = program.run_decompositions()
    torch.export.save(program, folder / f"{name}.pt2")

    output = model(*arguments.values())
    probe = torch.randn(output.shape)
    loss = (output * probe).sum()
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    expected = {f"input.{key}": value for key, value in arguments.items()}
    expected |= {"output": output, "probe": probe, "loss": loss}
    expected |= {f"grad.{key}": value for key, value in zip(parameters, gradients)}

    randomise(model)
    weights = {key: value.clone() for key, value in model.state_dict().items() if "num_batches" not in key}
    save_safetensors(folder / f"{name}.weights.safetensors", weights)
    expected["other_output"] = model(*arguments.values())
    save_safetensors(folder / f"{name}.expected.safetensors", expected)


def make_next_token(folder):
    """Next-token programs of any length, of at most 16 tokens, of 6 tokens, of a multiple of 4, and with two inputs."""
    tokens = torch.randint(0, 11, (3, 8))
    any_length, short = torch.export.Dim("length"), torch.export.Dim("short", max=16)
    for name, arguments, length in [
        ("next_token", {"tokens": tokens}, any_length),
        ("next_token_16", {"tokens": tokens}, short),
        ("next_token_6", {"tokens": tokens[:, :6]}, None),
        ("next_token_fours", {"tokens": tokens}, 4 * torch.export.Dim("fours")),
        ("next_token_segments", {"tokens": tokens, "segments": tokens % 3}, any_length),
    ]:
        sizes = {0: BATCH} if length is None else {0: BATCH, 1: length}
        program = export(Bigram().eval(), arguments, {argument: sizes for argument in arguments})
        torch.export.save(program, folder / f"{name}.pt2")


def make_bad(folder, name, model, arguments, shapes=None):
    torch.export.save(export(model, arguments, shapes), folder / f"{name}.pt2")


def rewrite(source, target, change, compression=zipfile.ZIP_STORED):
    """Copies an archive entry by entry; `change` gets name and bytes and returns bytes, or None to leave one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)


def make_weights(folder):
    """Weight files for mlp.pt2: its own values in other dtypes, and files that must be refused."""
    own = {key: value.detach() for key, value in torch.export.load(folder / "mlp.pt2").state_dict.items()}
    for dtype, name in [(torch.float64, "f64"), (torch.float16, "f16"), (torch.bfloat16, "bf16"), (torch.int64, "i64")]:
        save_safetensors(folder / f"mlp.{name}.safetensors", {key: value.to(dtype) for key, value in own.items()})
    items = list(own.items())
    save_safetensors(folder / "mlp.first_half.safetensors", dict(items[:2]))
    save_safetensors(folder / "mlp.second_half.safetensors", dict(items[2:]))
    save_safetensors(folder / "mlp.extra.safetensors", own | {"fc3.weight": torch.zeros(1)})
    nan = own["fc2.bias"].clone()
    nan[1] = float("nan")
    save_safetensors(folder / "mlp.nan.safetensors", own | {"fc2.bias": nan})
    save_safetensors(folder / "mlp.transposed.safetensors", own | {"fc1.weight": own["fc1.weight"].t()})
    embedding = torch.randn(11, 8)
    norm = {"norm.weight": torch.ones(8), "norm.bias": torch.zeros(8)}
    save_safetensors(folder / "tied.once.safetensors", norm | {"head.weight": embedding})
    save_safetensors(folder / "tied.torn.safetensors", norm | {"head.weight": embedding, "embed.weight": embedding + 1})


def make_damaged(folder):
    mlp = folder / "mlp.pt2"

    def change_json(end, edit):
        def change(name, data):
            if not name.endswith(end):
                return data
            document = json.loads(data)
            edit(document)
            return json.dumps(document).encode()
        return change

    def pickled(document):
        document["config"]["fc1.weight"]["use_pickle"] = True

    def too_far(document):
        document["config"]["fc1.weight"]["tensor_meta"]["storage_offset"] = {"as_int": 1000}

    def newer_schema(document):
        document["schema_version"]["major"] = 9

    def file_operator(document):
        node = document["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.ops.aten.from_file.default"

    def unknown_value(document):
        node = document["graph_module"]["graph"]["nodes"][1]
        node["inputs"][0]["arg"]["as_tensor"]["name"] = "nowhere"

    def unknown_argument(document):
        document["graph_module"]["graph"]["nodes"][1]["inputs"][0]["name"] = "nothing"

    weights_config = "model_weights_config.json"
    rewrite(mlp, folder / "bad_pickle.pt2", change_json(weights_config, pickled))
    rewrite(mlp, folder / "bad_offset.pt2", change_json(weights_config, too_far))
    rewrite(mlp, folder / "bad_schema.pt2", change_json("models/model.json", newer_schema))
    rewrite(mlp, folder / "bad_operator.pt2", change_json("models/model.json", file_operator))
    rewrite(mlp, folder / "bad_value.pt2", change_json("models/model.json", unknown_value))
    rewrite(mlp, folder / "bad_argument.pt2", change_json("models/model.json", unknown_argument))
    rewrite(mlp, folder / "bad_json.pt2", lambda name, data: data[:-9] if name.endswith("model.json") else data)
    rewrite(mlp, folder / "bad_compressed.pt2", lambda name, data: data, zipfile.ZIP_DEFLATED)
    rewrite(mlp, folder / "bad_missing.pt2", lambda name, data: None if name.endswith("weight_1") else data)
    rewrite(mlp, folder / "bad_big_endian.pt2", lambda name, data: b"big" if name.endswith("byteorder") else data)
    rewrite(mlp, folder / "bad_old.pt2",
            lambda name, data: None if "archive_format" in name else data)
    with zipfile.ZipFile(folder / "bad_old.pt2", "a") as archive:
        archive.writestr("serialized_exported_program.json", "{}")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)

    image = {"image": torch.randn(5, 3, 2, 2)}
    make_good(folder, "mlp", Mlp(), image)
    make_good(folder, "mlp_decomposed", Mlp(), image, decompose=True)
    make_good(folder, "resnet", ResNet(3, 4, 5), {"image": torch.randn(4, 3, 16, 16)})
    make_good(folder, "resnet_decomposed", ResNet(1, 4, 5), {"image": torch.randn(4, 3, 16, 16)}, decompose=True)
    make_good(folder, "vit", VisionTransformer(1, 8, 4, depth=2), {"image": torch.randn(4, 1, 8, 8)})
    make_good(folder, "own_losses", OwnLosses(),
              {"features": torch.randn(5, 6), "label": torch.randint(0, 3, (5,))})
    make_good(folder, "no_grad_inside", NoGradInside(), {"features": torch.randn(5, 4)})
    make_good(folder, "tied", TinyLanguageModel(), {"tokens": torch.randint(0, 11, (4, 7))},
              {"tokens": {0: BATCH, 1: torch.export.Dim("length", min=4)}})
    make_next_token(folder)
    frozen = Mlp()
    frozen.fc1.requires_grad_(False)
    frozen.eval()
    make_bad(folder, "frozen", frozen, {"image": image["image"]})

    features = {"features": torch.randn(3, 4)}
    make_bad(folder, "bad_batch_norm", TrainingBatchNorm().train(), features)
    make_bad(folder, "bad_dropout", Mlp().train(), image)
    make_bad(folder, "bad_static_batch", Mlp().eval(), image, {"image": {}})
    make_bad(folder, "bad_counter", Counter(), features)
    make_bad(folder, "bad_input_change", ChangesItsInput(), features)
    make_bad(folder, "bad_random", Random(), features)
    make_bad(folder, "bad_branch", Sorted(), features)
    make_bad(folder, "bad_custom", CustomOperator(), features)
    make_bad(folder, "bad_mean_loss", MeanLoss(), features)
    make_bad(folder, "bad_half", Mlp().eval().half(), {"image": image["image"].half()})
    make_bad(folder, "bad_small_batch", Mlp().eval(), image, {"image": {0: torch.export.Dim("batch", max=64)}})
    torch.jit.save(torch.jit.script(Mlp().eval()), folder / "bad_torchscript.pt2")
    make_damaged(folder)
    make_weights(folder)


if __name__ == "__main__":
    main()
