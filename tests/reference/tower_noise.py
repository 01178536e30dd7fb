#!/usr/bin/env python3
"""Measures the rounding of the parity fixtures, stage by stage: their float32 numbers against
the same towers written out here in PyTorch, in float64.

usage: tower_noise.py tests/data > tests/data/tower_noise.json

A number is the largest difference over the stage's largest magnitude (in float64). An exact
implementation in double differs from the fixtures by just this.
"""
import json, pathlib, sys

import torch
from safetensors.torch import load_file

F = torch.nn.functional
data = pathlib.Path(sys.argv[1])


def tower(x, weights, prefix, heads, quick_gelu, causal, keep):
    """x [n, tokens, width] through the blocks; keep(stage, layer, value) sees each one."""
    n, t, c = x.shape
    for l in range(sum(1 for k in weights if k.startswith(prefix + "transformer") and k.endswith("ln_1.bias"))):
        w = lambda name: weights[f"{prefix}transformer.resblocks.{l}.{name}"]
        keep("resid_pre", l, x)
        y = F.layer_norm(x, (c,), w("ln_1.weight"), w("ln_1.bias"))
        q, k, v = F.linear(y, w("attn.in_proj_weight"), w("attn.in_proj_bias")).view(n, t, 3, heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (c // heads) ** 0.5
        if causal:
            scores = scores + torch.full((t, t), float("-inf"), dtype=x.dtype).triu(1)
        pattern = scores.softmax(-1)
        keep("pattern", l, pattern)
        z = (pattern @ v).transpose(1, 2).reshape(n, t, c)
        x = x + F.linear(z, w("attn.out_proj.weight"), w("attn.out_proj.bias"))
        y = F.linear(F.layer_norm(x, (c,), w("ln_2.weight"), w("ln_2.bias")), w("mlp.c_fc.weight"), w("mlp.c_fc.bias"))
        y = y * torch.sigmoid(1.702 * y) if quick_gelu else F.gelu(y)
        keep("mlp_post", l, y)
        x = x + F.linear(y, w("mlp.c_proj.weight"), w("mlp.c_proj.bias"))
        keep("resid_post", l, x)
    return x


def vision(weights, config, images, keep):
    c, p = config["vision_cfg"]["width"], config["vision_cfg"]["patch_size"]
    w = lambda name: weights["visual." + name]
    x = F.conv2d(images, w("conv1.weight"), stride=p).flatten(2).transpose(1, 2)
    x = torch.cat([w("class_embedding").expand(len(x), 1, -1), x], 1) + w("positional_embedding")
    x = F.layer_norm(x, (c,), w("ln_pre.weight"), w("ln_pre.bias"))
    x = tower(x, weights, "visual.", c // config["vision_cfg"]["head_width"], config["quick_gelu"], False, keep)
    keep("representation", 0, F.layer_norm(x[:, 0], (c,), w("ln_post.weight"), w("ln_post.bias")) @ w("proj"))


def text(weights, config, tokens, quick_gelu):
    x = weights["token_embedding.weight"][tokens] + weights["positional_embedding"]
    x = tower(x, weights, "", config["text_cfg"]["heads"], quick_gelu, True, lambda *_: None)
    x = x[torch.arange(len(x)), tokens.argmax(-1)]
    return F.layer_norm(x, x.shape[-1:], weights["ln_final.weight"], weights["ln_final.bias"]) @ weights["text_projection"]


noise = {}
for name in ("tiny-a", "tiny-b", "tiny-c"):
    config = json.loads((data / f"{name}.config.json").read_text())
    weights = {k: v.double() for k, v in load_file(data / f"{name}.model.safetensors").items()}
    ref = load_file(data / f"{name}.ref.safetensors")
    measured = noise[name] = {}

    def compare(stage, fixture, exact):
        measured[stage] = ((fixture.double() - exact).abs().max() / fixture.double().abs().max()).item()

    def keep(stage, l, value):
        fixture = {"resid_pre": lambda: ref["residual_stream"][l], "resid_post": lambda: ref["residual_stream"][l + 1],
                   "pattern": lambda: ref["attention"][l], "mlp_post": lambda: ref["mlp_post_act"][l],
                   "representation": lambda: ref["representation"]}[stage]()
        compare(stage if stage == "representation" else f"{l}.{stage}", fixture, value)

    vision(weights, config, ref["images"].double(), keep)
    if "text_tokens" in ref:
        compare("text_features", ref["text_features"], text(weights, config, ref["text_tokens"], True))
        compare("text_features_plain_gelu", ref["text_features_plain_gelu"], text(weights, config, ref["text_tokens"], False))
print(json.dumps(noise, indent=1))
