#!/usr/bin/env python3
"""Holds a run folder of `solens analyze` against the same findings from effects in memory, in double.

usage: analysis_oracle.py RUN LAYER EFFECTS.npy NEURONS

EFFECTS.npy is what `solens effects --layer LAYER --neurons NEURONS` wrote for the same model and
images: [images, neurons, E]. NEURONS is a range, as in 0-31. Prints the largest difference of each
finding, relative to the finding's largest magnitude, and how many top images differ. Needs numpy
and safetensors.
"""
import sys

import numpy as np
from safetensors.numpy import load_file

run, layer, effects_file, neurons = sys.argv[1:5]
first, last = (int(n) for n in neurons.split("-"))
found = {name: x[first:last + 1] for name, x in load_file(f"{run}/layer-{layer}.safetensors").items()}
effects = np.load(effects_file).astype(np.float64)
top = found["top_images"].shape[1]

mean = effects.mean(0)
centered = effects - mean
norms = np.linalg.norm(centered, axis=2).T
order = np.argsort(-norms, axis=1, kind="stable")[:, :top]
expected = {"mean_effect": mean, "top_norms": np.take_along_axis(norms, order, 1)}
expected["threshold"] = expected["top_norms"][:, -1]
share, share_all, cosine = [], [], []
for n in range(len(norms)):
    rows = centered[order[n], n]
    _, s, v = np.linalg.svd(rows, full_matrices=False)
    share.append(s[0] ** 2 / (s ** 2).sum())
    s_all = np.linalg.svd(centered[:, n], compute_uv=False)
    share_all.append(s_all[0] ** 2 / (s_all ** 2).sum())
    sign = 1 if ((rows @ v[0]) > 0).sum() > top / 2 else -1
    cosine.append(sign * v[0] @ found["direction"][n].astype(np.float64))
expected["explained_variance"] = np.array(share)
expected["explained_variance_all"] = np.array(share_all)
for name, x in expected.items():
    print(f"{name:24s} {np.abs(found[name] - x).max() / np.abs(x).max():.1e}")
print(f"{'direction, 1 - cos':24s} {1 - np.min(np.abs(cosine)):.1e}, {sum(c < 0 for c in cosine)} of another sign")
print(f"{'top images':24s} {(order != found['top_images']).sum()} of {order.size} elsewhere")
