#!/usr/bin/env python3
"""CLIP's towers in PyTorch with random weights, for benchmarks/model to be held against.

usage: OMP_NUM_THREADS=2 torch_towers.py [--seconds S] [--device cuda] [--forms lean ...] [--words FILE] [--templates FILE] -- [ViT-B-32:32] [ViT-L-14:8] [text:ViT-B-32] ...

`open_clip` and `transformers` are those packages' own forward passes. `lean` is as little as
PyTorch lets one do for the same representation: fused attention, the last block after its values
for the class token alone; `compiled` is open_clip's pass through torch.compile. On a GPU matrices
are multiplied in float32 unless --tf32 is given. Texts are the lines of --words, and one in 300 of them in each of the
--templates, as in benchmarks/model; they are sorted by length and cut to it, as open_clip's users
may do.
"""
import argparse, os, statistics, time

import torch

F = torch.nn.functional
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
torch.set_num_threads(THREADS)


def measure(name, unit, count, seconds, run_once):
    def run():
        run_once()
        if options.device != "cpu":
            torch.cuda.synchronize()

    with torch.inference_mode():
        run()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 2 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    best, middle = min(times), statistics.median(times)
    print(f"{name:48s} {middle * 1e3:9.1f} ms  {count / middle:8.2f} {unit}/s  (best {count / best:.2f})", flush=True)


class LeanBlock:
    def __init__(self, block):
        self.norm_1, self.norm_2, self.heads = block.ln_1, block.ln_2, block.attn.num_heads
        self.qkv = block.attn.in_proj_weight, block.attn.in_proj_bias
        self.out, self.up, self.down = block.attn.out_proj, block.mlp.c_fc, block.mlp.c_proj

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def __call__(self, x, token=None, causal=False):
        y, (weight, bias), width = self.norm_1(x), self.qkv, x.shape[-1]
        if token is None:
            q, k, v = F.linear(y, weight, bias).split(width, -1)
        else:
            q = F.linear(y[:, token], weight[:width], bias[:width])[:, None]
            k, v = F.linear(y, weight[width:], bias[width:]).split(width, -1)
            x = x[:, token][:, None]
        z = F.scaled_dot_product_attention(self.split(q), self.split(k), self.split(v), is_causal=causal and token is None)
        x = x + self.out(z.transpose(1, 2).flatten(2))
        y = self.up(self.norm_2(x))
        return x + self.down(y * torch.sigmoid(1.702 * y))


class Lean:
    def __init__(self, model):
        self.model = model
        self.vision = [LeanBlock(b) for b in model.visual.transformer.resblocks]
        self.text = [LeanBlock(b) for b in model.transformer.resblocks]

    def image(self, pixels):
        v = self.model.visual
        x = v.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([v.class_embedding.expand(len(x), 1, -1), x], 1) + v.positional_embedding
        x = v.ln_pre(x)
        for block in self.vision[:-1]:
            x = block(x)
        return v.ln_post(self.vision[-1](x, token=0)[:, 0]) @ v.proj

    def words(self, tokens):
        m = self.model
        x = m.token_embedding(tokens) + m.positional_embedding[: tokens.shape[1]]
        for block in self.text[:-1]:
            x = block(x, causal=True)
        return m.ln_final(self.text[-1](x, token=-1)[:, 0]) @ m.text_projection


def lines(file):
    with open(file, encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip()]


def batches(texts):
    """Token ids of texts, as batches of one length and at most 2,048 tokens each."""
    tokens = open_clip.get_tokenizer("ViT-B-32")(texts)
    lengths = tokens.argmax(1) + 1  # the end token has the largest id
    for length in lengths.unique().tolist():
        yield from tokens[lengths == length, :length].to(options.device).split(2048 // length)


def hugging_face(name):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes = {"ViT-B-32": (768, 12, 12, 32, 512), "ViT-L-14": (1024, 24, 16, 14, 768)}
    width, layers, heads, patch, joint = sizes[name]
    config = CLIPVisionConfig(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
                              num_attention_heads=heads, patch_size=patch, projection_dim=joint)
    return CLIPVisionModelWithProjection(config).eval().to(options.device)


parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, default=8)
parser.add_argument("--forms", nargs="+", default=["lean", "open_clip", "transformers"])
parser.add_argument("--device", default="cpu")
parser.add_argument("--tf32", action="store_true")
parser.add_argument("--words")
parser.add_argument("--templates")
parser.add_argument("what", nargs="*", default=["ViT-B-32:32", "ViT-L-14:8"])
options = parser.parse_args()
if not options.words and any(what.startswith("text:") for what in options.what):
    parser.error("the text tower needs --words")
torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
torch.backends.cudnn.allow_tf32 = options.tf32
import open_clip  # after the arguments, since it takes seconds

where = f"{THREADS} threads, {torch.backends.cpu.get_cpu_capability()}" if options.device == "cpu" else torch.cuda.get_device_name()
print(f"torch {torch.__version__}, {where}")
for what in options.what:
    first, second = what.split(":")
    name = second if first == "text" else first
    model = open_clip.create_model(f"{name}-quickgelu", pretrained=None).eval().to(options.device)
    lean = Lean(model)
    if first == "text":
        words = lines(options.words)
        lists = {"words": words}
        if options.templates:
            lists["prompts"] = [t.replace("{}", w) for w in words[::300] for t in lines(options.templates)]
        for kind, texts in lists.items():
            of_one_length = list(batches(texts))
            measure(f"text {name} lean, {len(texts)} {kind}", kind, len(texts), options.seconds, lambda: [lean.words(b) for b in of_one_length])
        continue
    pixels = torch.randn(int(second), 3, 224, 224, device=options.device)
    with torch.inference_mode():
        torch.testing.assert_close(lean.image(pixels[:2]), model.encode_image(pixels[:2]), rtol=1e-3, atol=1e-3)
    forms = {"lean": lambda: lean.image, "open_clip": lambda: model.encode_image, "transformers": lambda: hugging_face(name),
             "compiled": lambda: torch.compile(model.encode_image)}
    for form in options.forms:
        run = forms[form]()
        measure(f"vision {name} batch {second} {form}", "images", len(pixels), options.seconds, lambda: run(pixels))
