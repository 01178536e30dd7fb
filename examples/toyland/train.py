#!/usr/bin/env python3
"""Trains the CLIP of toyland, on a CPU, in pieces: it goes on from its last checkpoint.

    cmake --build --preset release --target toyland
    python examples/toyland/train.py --painter build/release/bin/toyland --work DIR --out MODEL

Two stages, one schedule. First the image tower alone learns what is in a picture: linear heads on
its representation tell kinds, colours, textures, the setting and the relation; another head tells
of each patch token which kind covers it. Then both towers learn to bring pictures and their
captions together, as CLIP does; captions that are true of another picture are no negatives for it.
Patch tokens are dropped at random, fewer as training goes on. README.md tells what came out.

Needs PyTorch, NumPy and safetensors. Everything is drawn from the seed and the number of the step.
"""
import argparse
import collections
import json
import math
import os
import pathlib
import subprocess
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

KINDS = ("boat car house tree fish bird cat flower star moon sun cloud apple umbrella balloon "
         "mushroom butterfly snowman rocket cup").split()
COLOURS = "red orange yellow green blue purple pink brown black white".split()
TEXTURES = "plain striped dotted checked".split()
SETTINGS = "sea meadow night desert snow room".split()
RELATIONS = "left of|right of|above|below|on".split("|")
WORDS = KINDS + COLOURS + TEXTURES + SETTINGS + RELATIONS  # the bits of the painter's labels
TEMPLATES = ["a photo of a {}", "a picture of a {}", "a drawing of a {}", "a painting of a {}",
             "there is a {}", "a {}", "{}"]
SIDE, PATCH, CONTEXT = 64, 8, 32
SIZE = {"vision": {"width": 128, "heads": 4, "depth": 6},
        "text": {"width": 96, "heads": 4, "depth": 3}, "joint": 128}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


# --- The tokenizer: CLIP's byte-pair encoding, with merges learnt from the captions.

def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


class Tokenizer:
    """Learns merges until every word that captions use often is one token."""

    def __init__(self, lines):
        counts = collections.Counter(word for line in lines for word in line.split())
        words = {w: [*w[:-1], w[-1] + "</w>"] for w in sorted(counts)}
        self.merges = []
        while True:
            pairs = collections.Counter()
            for word, parts in words.items():
                for pair in zip(parts, parts[1:]):
                    pairs[pair] += counts[word]
            if not pairs:
                break
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            self.merges.append(best)
            for word, parts in words.items():
                words[word] = merged(parts, best)
        letters = byte_alphabet()
        ordered = sorted(letters.values())
        tokens = ordered + [t + "</w>" for t in ordered] + ["".join(m) for m in self.merges]
        tokens += ["<|startoftext|>", "<|endoftext|>"]
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.start, self.end = len(tokens) - 2, len(tokens) - 1
        self.cache = {}

    def word(self, word):
        if word not in self.cache:
            parts = [*word[:-1], word[-1] + "</w>"]
            for pair in self.merges:
                parts = merged(parts, pair)
            self.cache[word] = [self.ids[p] for p in parts]
        return self.cache[word]

    def __call__(self, texts):
        rows = np.full((len(texts), CONTEXT), self.end, np.int16)
        for row, text in zip(rows, texts):
            ids = [self.start] + [i for word in text.split() for i in self.word(word)]
            ids = ids[: CONTEXT - 1] + [self.end]
            row[: len(ids)] = ids
        return rows

    def save(self, folder):
        text = json.dumps(self.ids, ensure_ascii=False, indent=0)
        (folder / "vocab.json").write_text(text + "\n")
        lines = ["#version: 0.2"] + [" ".join(m) for m in self.merges]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n")
        config = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
                  "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
                  "do_lower_case": True, "model_max_length": CONTEXT,
                  "tokenizer_class": "CLIPTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def merged(parts, pair):
    result = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


# --- The model, its parameters named as transformers names CLIP's.

class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x, mask):
        n, tokens, width = x.shape
        inputs = [self.q_proj, self.k_proj, self.v_proj]
        weight = torch.cat([p.weight for p in inputs])
        qkv = F.linear(x, weight, torch.cat([p.bias for p in inputs]))
        q, k, v = qkv.view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # By hand: on CPUs torch's fused attention took half of a step.
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2)
        if mask is not None:
            scores = scores + mask[:tokens, :tokens]
        out = torch.softmax(scores, -1).to(v.dtype) @ v
        return self.out_proj(out.transpose(1, 2).reshape(n, tokens, width))


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        # quick_gelu(y) = silu(1.702 y) / 1.702: the factors are kept in the weights, and taken out
        # when the model is written, so that training runs one fused operation.
        return self.fc2(F.silu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn, self.mlp = Attention(width, heads), MLP(width)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, mask=None):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, width, heads, depth):
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return x


class VisionEmbeddings(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.patch_embedding = nn.Conv2d(3, width, PATCH, PATCH, bias=False)
        self.position_embedding = nn.Embedding((SIDE // PATCH) ** 2 + 1, width)

    def forward(self, patches, kept):
        """patches [n, k, 3 * PATCH * PATCH], those numbered `kept` [n, k] -> [n, 1 + k, width]"""
        position = self.position_embedding.weight
        x = F.linear(patches, self.patch_embedding.weight.flatten(1)) + position[1 + kept]
        first = (self.class_embedding + position[0]).expand(len(x), 1, -1)
        return torch.cat([first, x], 1)


class Vision(nn.Module):
    def __init__(self, width, heads, depth):
        super().__init__()
        self.embeddings = VisionEmbeddings(width)
        self.pre_layrnorm, self.post_layernorm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.encoder = Encoder(width, heads, depth)

    def forward(self, patches, kept):
        return self.post_layernorm(self.encoder(self.pre_layrnorm(self.embeddings(patches, kept))))


class TextEmbeddings(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(CONTEXT, width)


class Text(nn.Module):
    def __init__(self, vocabulary, width, heads, depth):
        super().__init__()
        self.embeddings = TextEmbeddings(vocabulary, width)
        self.encoder = Encoder(width, heads, depth)
        self.final_layer_norm = nn.LayerNorm(width)
        mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids, end):
        ends = (ids == end).int().argmax(1)
        ids = ids[:, : int(ends.max()) + 1]  # what follows changes nothing before it
        e = self.embeddings
        x = e.token_embedding(ids) + e.position_embedding.weight[: ids.shape[1]]
        x = self.final_layer_norm(self.encoder(x, self.mask))
        return x[torch.arange(len(x)), ends]


class Clip(nn.Module):
    def __init__(self, size, vocabulary, end):
        super().__init__()
        self.size, self.vocabulary, self.end = size, vocabulary, end
        vision, text, joint = size["vision"], size["text"], size["joint"]
        self.vision_model, self.text_model = Vision(**vision), Text(vocabulary, **text)
        self.visual_projection = nn.Linear(vision["width"], joint, bias=False)
        self.text_projection = nn.Linear(text["width"], joint, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        for name, p in self.named_parameters():
            if name.endswith("embedding.weight") and p.dim() == 2:
                nn.init.normal_(p, std=0.02)
            elif p.dim() == 2:
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
            if name.endswith(("out_proj.weight", "fc2.weight")):
                depth = text["depth"] if name.startswith("text") else vision["depth"]
                p.data *= (2 * depth) ** -0.5

    def images(self, patches, kept):
        """The representation [n, joint], and the patch tokens after the last norm [n, k, width]."""
        x = self.vision_model(patches, kept)
        return self.visual_projection(x[:, 0]), x[:, 1:]

    def texts(self, ids):
        return self.text_projection(self.text_model(ids, self.end))


class Heads(nn.Module):
    """Linear heads for the stage on labels; no part of the model."""

    def __init__(self, size):
        super().__init__()
        self.concepts = nn.Linear(size["joint"], len(WORDS))
        self.pairs = nn.Linear(size["joint"], len(KINDS) * len(COLOURS))
        self.patches = nn.Linear(size["vision"]["width"], len(KINDS) + 1)


# --- Data.

class Pictures:
    """Scenes that the painter has painted, or paints now."""

    def __init__(self, painter, work, n, seed, tokenizer=None):
        path = work / f"scenes-{seed}-{n}.safetensors"
        if not path.exists():
            subprocess.run([painter, "paint", "--raw", "--n", str(n), "--seed", str(seed), "--out",
                            str(path)], check=True)
        with safe_open(path, "np") as f:
            get = f.get_tensor
            self.there, self.said, self.patches = get("there"), get("said"), get("patches")
            self.kinds, self.colours = get("kinds"), get("colours")
        with open(path, "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            begin = json.loads(f.read(length))["images"]["data_offsets"][0] + 8 + length
        self.images = np.memmap(path, np.uint8, "r", begin, (n, SIDE, SIDE, 3))
        lines = path.with_suffix(".txt").read_text().splitlines()
        self.tokenizer = tokenizer or Tokenizer(lines)
        self.captions = self.tokenizer(lines).reshape(n, -1, CONTEXT)

    def __len__(self):
        return len(self.images)

    def tokens(self, rows, kept):
        """Patches in colour-major order, as a convolution's weights have them; `kept` [n, k]."""
        x = torch.from_numpy(self.images[rows]).float() / 255
        x = (x - torch.tensor(MEAN)) / torch.tensor(STD)
        across = SIDE // PATCH
        x = x.view(-1, across, PATCH, across, PATCH, 3).permute(0, 1, 3, 5, 2, 4)
        x = x.reshape(len(rows), across * across, -1)
        return x.gather(1, kept[:, :, None].expand(-1, -1, x.shape[2]))

    def truth(self, rows):
        """[n, len(WORDS)] of 0 and 1"""
        return torch.from_numpy(self.there[rows][:, None] >> np.arange(len(WORDS)) & 1).float()


class Prompts:
    """Short texts beside captions: a word on its own, a thing in a template."""

    def __init__(self, tokenizer):
        self.tokenizer, self.cache = tokenizer, {}

    def __call__(self, data, row, rng):
        """Token ids, and the bits of what they say."""
        form = rng.random()
        if form < 0.5:
            which = int(rng.integers(data.captions.shape[1]))
            return data.captions[row, which], int(data.said[row, which])
        if form < 0.6:
            bits = [b for b in range(len(WORDS)) if data.there[row] >> b & 1]
            bit = bits[rng.integers(len(bits))]
            return self.tokens(WORDS[bit]), 1 << bit
        things = [i for i in range(3) if data.kinds[row, i] >= 0]
        i = things[rng.integers(len(things))]
        kind, colour = int(data.kinds[row, i]), int(data.colours[row, i])
        text, bits = KINDS[kind], 1 << kind
        if form < 0.75:
            text, bits = f"{COLOURS[colour]} {text}", bits | 1 << (len(KINDS) + colour)
        return self.tokens(TEMPLATES[rng.integers(len(TEMPLATES))].format(text)), bits

    def tokens(self, text):
        words = text.split()
        if words[0] == "a" or " a " in text:  # "a orange apple" is not what captions say
            for before, after in zip(words, words[1:]):
                if before == "a" and after[0] in "aeiou":
                    text = text.replace(f"a {after}", f"an {after}")
        if text not in self.cache:
            self.cache[text] = self.tokenizer([text])[0]
        return self.cache[text]


# --- Training.

def kept_patches(n, keep, generator):
    order = torch.rand(n, (SIDE // PATCH) ** 2, generator=generator).argsort(1)
    return order[:, :keep].sort(1).values


def label_loss(heads, representation, patches, data, rows, kept):
    truth = data.truth(rows)
    loss = 5 * F.binary_cross_entropy_with_logits(heads.concepts(representation).float(), truth)
    pairs = torch.zeros(len(rows), len(KINDS) * len(COLOURS))
    for kinds, colours in zip(data.kinds[rows].T, data.colours[rows].T):
        there = np.flatnonzero(kinds >= 0)
        pairs[there, kinds[there] * len(COLOURS) + colours[there]] = 1
    logits = heads.pairs(representation).float()
    loss = loss + 20 * F.binary_cross_entropy_with_logits(logits, pairs)
    by_patch = torch.from_numpy(data.patches[rows].reshape(len(rows), -1).astype(np.int64))
    by_patch = by_patch.gather(1, kept).clamp(max=len(KINDS))
    logits = heads.patches(patches).float().flatten(0, 1)
    return loss + F.cross_entropy(logits, by_patch.flatten())


def contrastive_loss(model, representation, data, rows, prompts, rng):
    drawn = [prompts(data, row, rng) for row in rows]
    ids = torch.from_numpy(np.stack([ids for ids, _ in drawn]).astype(np.int64))
    images = F.normalize(representation.float(), dim=1)
    texts = F.normalize(model.texts(ids).float(), dim=1)
    logits = model.logit_scale.exp() * images @ texts.T
    said = np.array([bits for _, bits in drawn], np.int64)
    true_of_others = torch.from_numpy((said[None, :] & ~data.there[rows][:, None]) == 0)
    true_of_others.fill_diagonal_(False)
    logits = logits.masked_fill(true_of_others, -1e4)
    target = torch.arange(len(rows))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def learning_rate(progress, peak, warm_up=0.02):
    if progress < warm_up:
        return peak * (progress + 1e-4) / warm_up
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2)


def kept_at(progress):
    return 24 if progress < 0.35 else 32 if progress < 0.7 else 48 if progress < 0.9 else 64


def average_gradients(parameters):
    """Over the processes, each of which has its share of the batch."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, averaged in zip(gradients, flat.split([g.numel() for g in gradients])):
        g.copy_(averaged.view_as(g))


@torch.no_grad()
def zero_shot(model, data, prompts):
    """How often the best of the kinds is there: in scenes with one thing, in those with more."""
    texts = [torch.from_numpy(np.stack([prompts.tokens(t.format(k)) for t in TEMPLATES[:4]])).long()
             for k in KINDS]
    classes = torch.stack([F.normalize(model.texts(t).float(), dim=1).mean(0) for t in texts])
    classes = F.normalize(classes, dim=1)
    hits, counts = [0, 0], [0, 0]
    for rows in np.array_split(np.arange(len(data)), len(data) // 100):
        kept = torch.arange((SIDE // PATCH) ** 2).expand(len(rows), -1)
        best = (model.images(data.tokens(rows, kept), kept)[0].float() @ classes.T).argmax(1)
        hit = (torch.from_numpy(data.kinds[rows]) == best[:, None]).any(1).numpy()
        cluttered = data.kinds[rows, 1] >= 0
        for i in (0, 1):
            hits[i] += int(hit[cluttered == i].sum())
            counts[i] += int((cluttered == i).sum())
    return hits[0] / counts[0], hits[1] / counts[1]


def export(model, tokenizer, folder):
    """The model as transformers lays it out, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, p in model.state_dict().items():
        p = p.detach().clone()
        if ".fc1." in name:
            p /= 1.702
        elif name.endswith("fc2.weight"):
            p *= 1.702
        tensors[name] = p.half().contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    def tower(size, **more):
        return {"hidden_act": "quick_gelu", "hidden_size": size["width"],
                "intermediate_size": 4 * size["width"], "layer_norm_eps": 1e-5,
                "num_attention_heads": size["heads"], "num_hidden_layers": size["depth"],
                "projection_dim": model.size["joint"], **more}

    config = {"architectures": ["CLIPModel"], "model_type": "clip", "dtype": "float16",
              "projection_dim": model.size["joint"], "logit_scale_init_value": 2.6592,
              "text_config": tower(model.size["text"], model_type="clip_text_model",
                                   max_position_embeddings=CONTEXT, vocab_size=model.vocabulary,
                                   bos_token_id=tokenizer.start, eos_token_id=tokenizer.end,
                                   pad_token_id=tokenizer.end),
              "vision_config": tower(model.size["vision"], model_type="clip_vision_model",
                                     image_size=SIDE, patch_size=PATCH, num_channels=3)}
    preprocessor = {"do_resize": True, "size": {"shortest_edge": SIDE}, "resample": 3,
                    "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE},
                    "do_convert_rgb": True, "do_rescale": True, "do_normalize": True,
                    "image_mean": MEAN, "image_std": STD,
                    "image_processor_type": "CLIPImageProcessor"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    tokenizer.save(folder)


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--painter", required=True, help="the program toyland")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="scenes, checkpoint, log")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the model")
    parser.add_argument("--scenes", type=int, default=300_000)
    parser.add_argument("--steps", type=int, default=8000, help="of the whole schedule")
    parser.add_argument("--label-steps", type=int, default=3000, help="those on labels alone")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2, help="each takes its part of a batch")
    return parser.parse_args()


class Run:
    """A training run: what a checkpoint keeps, and the log."""

    def __init__(self, o, tokenizer):
        torch.manual_seed(o.seed)
        self.checkpoint, self.log = o.work / "checkpoint.pt", o.work / "log.txt"
        self.model, self.heads = Clip(SIZE, len(tokenizer.ids), tokenizer.end), Heads(SIZE)
        self.parameters = [*self.model.parameters(), *self.heads.parameters()]
        groups = [{"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": 0.05},
                  {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        self.step, self.seconds = 0, 0.0
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, weights_only=True)
            for part in ("model", "heads", "optimizer"):
                getattr(self, part).load_state_dict(saved[part])
            self.step, self.seconds = saved["step"], saved["seconds"]

    def save(self):
        part = self.checkpoint.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "heads": self.heads.state_dict(),
                    "optimizer": self.optimizer.state_dict(), "step": self.step,
                    "seconds": self.seconds}, part)
        os.replace(part, self.checkpoint)

    def report(self, text):
        line = f"step {self.step:6d} {self.seconds:7.0f} s  {text}"
        print(line, flush=True)
        with open(self.log, "a") as log:
            log.write(line + "\n")

    def update(self, o, data, prompts):
        """One step. Returns both losses."""
        progress, rank = self.step / o.steps, dist.get_rank()
        rng = np.random.default_rng((o.seed, self.step))
        generator = torch.Generator().manual_seed(o.seed * 1_000_003 + self.step)
        rows = rng.integers(len(data), size=o.batch)[rank :: o.processes]
        kept = kept_patches(o.batch, kept_at(progress), generator)[rank :: o.processes]
        with torch.autocast("cpu", torch.bfloat16):
            representation, patches = self.model.images(data.tokens(rows, kept), kept)
            labels = label_loss(self.heads, representation, patches, data, rows, kept)
            loss, contrast = labels, torch.zeros(())
            if self.step >= o.label_steps:
                contrast = contrastive_loss(self.model, representation, data, rows, prompts, rng)
                loss = contrast + 0.3 * (1 - progress) * labels
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(progress, o.rate)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(100))
        self.step += 1
        return labels.item(), contrast.item()


def train(rank, o, data, fresh):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{o.work.resolve()}/processes", rank=rank,
                            world_size=o.processes)
    run, prompts, sums = Run(o, data.tokenizer), Prompts(data.tokenizer), np.zeros(2)
    if rank == 0:
        run.report(f"{sum(p.numel() for p in run.model.parameters())} parameters, "
                   f"{len(data.tokenizer.ids)} tokens, {o.steps} steps of {o.batch}")
    while run.step < o.steps:
        begin = time.monotonic()
        sums += run.update(o, data, prompts)
        run.seconds += time.monotonic() - begin
        if run.step % 50 == 0:
            if rank == 0:
                run.report("labels %.3f  contrast %.3f" % tuple(sums / 50))
            sums[:] = 0
        if rank == 0 and (run.step % 250 == 0 or run.step == o.steps):
            run.save()
            if run.step > o.label_steps:
                accuracies = zero_shot(run.model, fresh, prompts)
                run.report("zero-shot: one thing %.3f, cluttered %.3f" % accuracies)
    if rank == 0:
        export(run.model, data.tokenizer, o.out)
    dist.destroy_process_group()


def main():
    o = options()
    o.work.mkdir(parents=True, exist_ok=True)
    (o.work / "processes").unlink(missing_ok=True)
    torch.set_num_threads(1)
    data = Pictures(o.painter, o.work, o.scenes, o.seed)
    fresh = Pictures(o.painter, o.work, 1000, o.seed + 1000, data.tokenizer)
    torch.multiprocessing.start_processes(train, (o, data, fresh), o.processes, start_method="fork")


if __name__ == "__main__":
    main()
