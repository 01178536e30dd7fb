"""A run folder of `solens analyze` with made-up findings, for tests of the report.

Random numbers in the shapes of ViT-B/32's eleven layers, or others, but for the joint space; no
model is needed.
"""
import array
import json
import random
import struct
from pathlib import Path

HEADS, BLOCKS, TOP, ATOMS, QUANTILES = 12, 12, 100, 32, 11
D_JOINT = 8  # the report shows nothing of that width


def floats(values):
    return "F32", array.array("f", values).tobytes()


def integers(values):
    return "I64", array.array("q", values).tobytes()


def write_safetensors(path, tensors):
    """tensors: {name: ((dtype, bytes), shape)}"""
    header, offset = {}, 0
    for name, ((dtype, data), shape) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for (_, data), _ in tensors.values():
            file.write(data)


def findings(neurons, images, words):
    """What does not depend on the layer: made once, since the page does not care."""
    norms = [sorted((random.random() for _ in range(TOP)), reverse=True) for _ in range(neurons)]
    spread = [sorted([random.random() * row[-1] for _ in range(QUANTILES - 1)]) + [row[0]]
              for row in norms]
    def share():
        return floats(random.random() for _ in range(neurons))
    return {
        **{name: (share(), [neurons]) for name in
           ("explained_variance", "explained_variance_all", "top_share", "code_cosine", "polysemy")},
        "threshold": (floats(row[-1] for row in norms), [neurons]),
        "n_significant": (integers([TOP - 1] * neurons), [neurons]),
        "norm_quantiles": (floats(x for row in spread for x in row), [neurons, QUANTILES]),
        "top_norms": (floats(x for row in norms for x in row), [neurons, TOP]),
        "top_images": (integers(i for _ in range(neurons)
                                for i in random.sample(range(images), TOP)), [neurons, TOP]),
        "code_atoms": (integers(i for _ in range(neurons)
                                for i in random.sample(range(words), ATOMS)), [neurons, ATOMS]),
        "code_weights": (floats(random.gauss(0, 0.3) for _ in range(neurons * ATOMS)),
                         [neurons, ATOMS]),
        "direction": zeros(neurons), "mean_effect": zeros(neurons),
    }


def zeros(rows):
    return ("F32", bytes(4 * rows * D_JOINT)), [rows, D_JOINT]


def make(folder, layers=11, neurons=3072, images=5000, words=30000):
    random.seed(1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shared = findings(neurons, images, words)
    for layer in range(layers):
        heads = HEADS * (BLOCKS - 1 - layer)
        of_heads = floats(random.gauss(0, 1) for _ in range(neurons * heads))
        write_safetensors(folder / f"layer-{layer}.safetensors",
                          {**shared, "mean_coefficients": (of_heads, [neurons, heads]),
                           "direction_by_head": (of_heads, [neurons, heads])})
    write_safetensors(folder / "dictionary.safetensors", {"embeddings": zeros(words)})
    (folder / "images.txt").write_text(
        "".join(f"/photos/validation/{i % 1000:04}/photo_{i:08}.JPEG\n" for i in range(images)))
    (folder / "words.txt").write_text("".join(f"word number {i}\n" for i in range(words)))
    (folder / "run.json").write_text(json.dumps({
        "format": 1, "solens": "0", "model": {
            "path": "/models/nowhere", "sha256": "0" * 64, "architecture": {
                "layers": BLOCKS, "heads": HEADS, "d_model": 768, "d_mlp": neurons, "d_joint": D_JOINT,
                "image_size": 224, "patch_size": 32, "activation": "quick_gelu"}},
        "words": {"list": "words.txt", "count": words, "template": "{}", "atoms": [ATOMS],
                  "embeddings": "text tower"},
        "images": {"source": "/photos", "count": images, "skipped": 0},
        "options": {"layers": list(range(layers)), "top": TOP, "convention": "centered",
                    "coefficient": 100.0},
        "seconds": {"total": 1.0}}))
