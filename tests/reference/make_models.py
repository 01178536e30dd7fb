#!/usr/bin/env python3
"""Makes random CLIP models with transformers' and open_clip's own writers, and what they compute.

usage: make_models.py small tests/data/layouts    small models, a folder for each layout
       make_models.py full FOLDER                 ViT-B/32 and ViT-L/14, each saved by both

Every folder also gets expected.safetensors: pixels and tokens, and the representations that the
library which wrote the model computes from them (float32 on a CPU). Needs torch, transformers,
open_clip_torch and safetensors. docs/parity.md says what was found with it.
"""
import json, pathlib, sys

import open_clip
import torch
import transformers
from open_clip.model import CLIP, CustomTextCLIP
from safetensors.torch import save_file


def settings(name):
    """The widths of a model: (d_joint, vision, text)."""
    if name == "ViT-B-32":
        return 512, dict(layers=12, width=768, heads=12, patch=32, image=224), dict(layers=12, width=512, heads=8, vocab=49408, context=77)
    if name == "ViT-L-14":
        return 768, dict(layers=24, width=1024, heads=16, patch=14, image=224), dict(layers=12, width=768, heads=12, vocab=49408, context=77)
    # Not a multiple of anything that comes to mind, so that no two extents are taken for each other.
    return 6, dict(layers=2, width=8, heads=2, patch=4, image=12), dict(layers=2, width=12, heads=3, vocab=50, context=9)


def hugging_face_configs(name, act, end):
    d_joint, v, t = settings(name)
    common = lambda c: dict(hidden_size=c["width"], intermediate_size=4 * c["width"], num_hidden_layers=c["layers"],
                            num_attention_heads=c["heads"], hidden_act=act, projection_dim=d_joint)
    vision = dict(common(v), image_size=v["image"], patch_size=v["patch"])
    text = dict(common(t), vocab_size=t["vocab"], max_position_embeddings=t["context"],
                bos_token_id=t["vocab"] - 2, eos_token_id=end or t["vocab"] - 1, pad_token_id=t["vocab"] - 1)
    return d_joint, vision, text


def open_clip_config(name, quick_gelu):
    d_joint, v, t = settings(name)
    return dict(embed_dim=d_joint, quick_gelu=quick_gelu,
                vision_cfg=dict(image_size=v["image"], layers=v["layers"], width=v["width"], head_width=v["width"] // v["heads"], patch_size=v["patch"]),
                text_cfg=dict(context_length=t["context"], vocab_size=t["vocab"], width=t["width"], heads=t["heads"], layers=t["layers"]))


def randomize(model, seed):
    """Weights that every part of the arithmetic feels: fresh models have biases of 0 and LayerNorms of 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if "logit_scale" in name:
                continue
            if p.ndim >= 2:
                p.copy_(noise * (0.02 if "embedding" in name else p[0].numel() ** -0.5))
            elif name.endswith("weight"):
                p.copy_(1 + 0.1 * noise)
            else:
                p.copy_(0.1 * noise)


def inputs(name):
    _, v, t = settings(name)
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randn(3, 3, v["image"], v["image"], generator=generator)
    tokens = torch.randint(1, t["vocab"] - 2, (4, t["context"]), generator=generator)
    for row, end in enumerate([t["context"] - 1, 2, 5, 1]):
        tokens[row, 0] = t["vocab"] - 2
        tokens[row, end:] = 0
        tokens[row, end] = t["vocab"] - 1
    return pixels, tokens


def expect(folder, tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "expected.safetensors")


def tensor_of(features):
    return features if torch.is_tensor(features) else features.pooler_output


def save_hugging_face(folder, name, act="quick_gelu", end=None, parts="both", shards=None):
    d_joint, vision, text = hugging_face_configs(name, act, end)
    if parts == "vision":
        model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**vision))
    elif parts == "text":
        model = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**text))
    else:
        model = transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=d_joint))
    randomize(model, 1)
    model.eval().save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
    pixels, tokens = inputs(name)
    with torch.no_grad():
        result = {}
        if parts == "both":
            result = dict(image_features=tensor_of(model.get_image_features(pixel_values=pixels)),
                          text_features=tensor_of(model.get_text_features(input_ids=tokens)))
        elif parts == "vision":
            result = dict(image_features=model(pixel_values=pixels).image_embeds)
        else:
            result = dict(text_features=model(input_ids=tokens).text_embeds)
    expect(folder, dict(pixels=pixels, tokens=tokens, **result))
    return model


def save_open_clip(folder, name, quick_gelu=False, custom_text=False, like=None):
    config = open_clip_config(name, quick_gelu)
    model = (CustomTextCLIP if custom_text else CLIP)(**config)
    if like is None:
        randomize(model, 2)
    else:
        take_from_hugging_face(model, like)
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    if custom_text:
        config["custom_text"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=config), indent=1) + "\n")
    pixels, tokens = inputs(name)
    with torch.no_grad():
        expect(folder, dict(pixels=pixels, tokens=tokens, image_features=model.encode_image(pixels), text_features=model.encode_text(tokens)))


def take_from_hugging_face(model, hf):
    """The same numbers in open_clip's model, part by part, so that no table of names is involved."""
    def blocks(ours, theirs):
        for o, t in zip(ours, theirs):
            a = t.self_attn
            o.attn.in_proj_weight.copy_(torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]))
            o.attn.in_proj_bias.copy_(torch.cat([a.q_proj.bias, a.k_proj.bias, a.v_proj.bias]))
            for x, y in [(o.attn.out_proj, a.out_proj), (o.ln_1, t.layer_norm1), (o.ln_2, t.layer_norm2), (o.mlp.c_fc, t.mlp.fc1), (o.mlp.c_proj, t.mlp.fc2)]:
                x.load_state_dict(y.state_dict())

    with torch.no_grad():
        v, t = hf.vision_model, hf.text_model
        model.visual.conv1.weight.copy_(v.embeddings.patch_embedding.weight)
        model.visual.class_embedding.copy_(v.embeddings.class_embedding)
        model.visual.positional_embedding.copy_(v.embeddings.position_embedding.weight)
        model.visual.ln_pre.load_state_dict(v.pre_layrnorm.state_dict())
        model.visual.ln_post.load_state_dict(v.post_layernorm.state_dict())
        model.visual.proj.copy_(hf.visual_projection.weight.T)
        model.token_embedding.weight.copy_(t.embeddings.token_embedding.weight)
        model.positional_embedding.copy_(t.embeddings.position_embedding.weight)
        model.ln_final.load_state_dict(t.final_layer_norm.state_dict())
        model.text_projection.copy_(hf.text_projection.weight.T)
        model.logit_scale.copy_(hf.logit_scale)
        blocks(model.visual.transformer.resblocks, v.encoder.layers)
        blocks(model.transformer.resblocks, t.encoder.layers)


def small(folder):
    save_hugging_face(folder / "hugging_face", "small")
    save_hugging_face(folder / "hugging_face_old_end", "small", act="gelu", end=2)
    save_hugging_face(folder / "hugging_face_sharded", "small", act="gelu_new", shards="10KB")
    save_hugging_face(folder / "hugging_face_vision", "small", parts="vision")
    save_hugging_face(folder / "hugging_face_text", "small", parts="text")
    save_open_clip(folder / "open_clip", "small")
    save_open_clip(folder / "open_clip_custom_text", "small", quick_gelu=True, custom_text=True)


def full(folder):
    for name in "ViT-B-32", "ViT-L-14":
        model = save_hugging_face(folder / (name + ".hugging_face"), name)
        save_open_clip(folder / (name + ".open_clip"), name, quick_gelu=True, like=model)


if __name__ == "__main__":
    torch.set_num_threads(2)
    {"small": small, "full": full}[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print("torch", torch.__version__, "transformers", transformers.__version__, "open_clip", open_clip.__version__)
