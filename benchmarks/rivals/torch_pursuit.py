"""Orthogonal matching pursuit in PyTorch, for comparison: all targets of a batch together, one
product of the residuals with the dictionary a step, a Cholesky factor that grows by a row.
usage: python torch_pursuit.py [--atoms 30000] [--d 512] [--targets 3072] [--batch 256] [-m 64]"""
import argparse
import time

import torch


def pursuit(atoms, targets, m):
    """atoms [n_atoms, d], targets [n, d] -> indices and weights [n, m]."""
    n, d = targets.shape
    each = torch.arange(n)
    factor, chosen = torch.eye(m).repeat(n, 1, 1), torch.empty(n, m, d)
    found, right = torch.empty(n, m, dtype=torch.long), torch.empty(n, m, 1)
    residual = targets
    for k in range(m):
        products = (residual @ atoms.T).abs_()
        products.scatter_(1, found[:, :k], 0)
        found[:, k] = products.argmax(1)
        newest = chosen[:, k] = atoms[found[:, k]]
        right[:, k, 0] = (newest * targets).sum(1)
        gram = torch.bmm(chosen[:, :k], newest[:, :, None])
        row = torch.linalg.solve_triangular(factor[:, :k, :k], gram, upper=False)[:, :, 0]
        factor[:, k, :k] = row
        factor[each, k, k] = ((newest * newest).sum(1) - (row * row).sum(1)).clamp_min(1e-12).sqrt()
        weights = torch.cholesky_solve(right[:, :k + 1], factor[:, :k + 1, :k + 1])
        residual = targets - torch.bmm(weights.transpose(1, 2), chosen[:, :k + 1])[:, 0]
    return found, weights[:, :, 0]


def unit_rows(n, d, seed):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return x / x.norm(dim=1, keepdim=True)


options = argparse.ArgumentParser()
options.add_argument("--atoms", type=int, default=30000)
options.add_argument("--d", type=int, default=512)
options.add_argument("--targets", type=int, default=3072)
options.add_argument("--batch", type=int, default=256)
options.add_argument("-m", type=int, default=64)
o = options.parse_args()
atoms, targets = unit_rows(o.atoms, o.d, 1), unit_rows(o.targets, o.d, 3)
pursuit(atoms, targets[:o.batch], 4)  # to warm up
start = time.perf_counter()
for batch in targets.split(o.batch):
    pursuit(atoms, batch, o.m)
seconds = time.perf_counter() - start
print(f"{o.targets} targets, {o.atoms} x {o.d}, m = {o.m}: {seconds:.2f} s, {o.targets / seconds:.0f} targets/s")
