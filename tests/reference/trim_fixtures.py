#!/usr/bin/env python3
"""Makes tests/data from the full parity fixtures: the same numbers, fewer images.

usage: trim_fixtures.py FIXTURES tests/data

The fixtures hold what the authors' published code (yossigandelsman/second_order_lens at
1d4fe4d, float32 on a CPU) computes on small models with seeded random weights.
"""
import json, math, pathlib, shutil, struct, sys

source, target = map(pathlib.Path, sys.argv[1:])
SIZE = {"F32": 4, "I64": 8, "I32": 4, "U8": 1}


def read(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    header.pop("__metadata__", None)
    return {k: (v["dtype"], v["shape"], data[8 + n :][slice(*v["data_offsets"])]) for k, v in header.items()}


def write(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def first(tensor, axis, count):
    """The first `count` positions of an axis."""
    dtype, shape, raw = tensor
    step = math.prod(shape[axis + 1 :]) * SIZE[dtype]
    whole, part = shape[axis] * step, count * step
    raw = b"".join(raw[i : i + part] for i in range(0, len(raw), whole))
    return dtype, shape[:axis] + [count] + shape[axis + 1 :], raw


for name in ("tiny-a", "tiny-b", "tiny-c"):
    for kind in ("config.json", "model.safetensors", "ref.safetensors"):
        shutil.copyfile(source / f"{name}.{kind}", target / f"{name}.{kind}")

reference = read(target / "tiny-b.ref.safetensors")
image_axis = {"residual_stream": 1, "attention": 1, "mlp_post_act": 1, "second_order_terms.3": 1}
write(target / "tiny-b.ref.safetensors", {k: first(v, image_axis.get(k, 0), 2) for k, v in reference.items()})

stages = read(source / "tiny-a.stages.safetensors")
for large in ("train_effects", "val_effects", "decomposition"):
    del stages[large]
write(target / "tiny-a.stages.safetensors", stages)

pixels = read(source / "preprocess.safetensors")
write(target / "preprocess.safetensors", {k: v for k, v in pixels.items() if "uint8" in k or k.endswith("_32")})
shutil.copytree(source / "images", target / "images", dirs_exist_ok=True)
for name in ("preprocess.json", "tokenizer.json"):
    shutil.copyfile(source / name, target / name)
