#!/usr/bin/env python3
"""Makes tests/data/omp.safetensors: random problems and what scikit-learn's orthogonal_mp says.

usage: make_omp_problems.py tests/data/omp.safetensors      (numpy, scikit-learn, safetensors)
"""
import sys

import numpy as np
from safetensors.numpy import save_file
from sklearn.linear_model import orthogonal_mp

rng = np.random.default_rng(7)
atoms = rng.standard_normal((300, 24)).astype(np.float32)
atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
targets = rng.standard_normal((200, 24)).astype(np.float32)
n_atoms = 8
# in double, from the float32 numbers that the file holds
weights = orthogonal_mp(atoms.T.astype(float), targets.T.astype(float), n_nonzero_coefs=n_atoms).T
support = np.stack([np.flatnonzero(w) for w in weights]).astype(np.int64)
save_file(
    {
        "atoms": atoms,
        "targets": targets,
        "support": support,
        "weights": np.take_along_axis(weights, support, 1).astype(np.float32),
    },
    sys.argv[1],
)
