"""A model of convoy's zoo in bf16 against PyTorch's autocast, from the same weights and on
the same batch.

    test_models_bf16.py STEP_TOOL CASE...     CASE: a name of CASES

PyTorch runs in f32, the judge, and under autocast in bf16; convoy in bf16. Printed are the
distances of both from the judge, and of each from the other. docs/parity.md explains the
table. Without a processor that multiplies bf16 it is skipped, but for BF16_ELSEWHERE=1 in
the environment, which says that STEP_TOOL computes on another that does.
"""
import dataclasses
import os
import pathlib
import sys

import test_models_torchvision as f32  # it ends here where PyTorch is missing
import numpy as np
import torch
import torch.nn.functional as F
import torch_nets
from model_cases import CASES as F32_CASES

# name -> images of a batch, and their side. What ReLUs get has a mean of at most one
# deviation: larger ones, which spare f32's comparison doubt, cost bits of bf16's eight.
SIZES = {"mlp": (8, 28), "lenet": (8, 28), "resnet20": (8, 16), "alexnet": (2, 63),
         "alexnet2012": (2, 67), "resnet18": (8, 32), "resnet50": (8, 32),
         "densenet121": (8, 32)}
CASES = {name: dataclasses.replace(F32_CASES[name], n=n, means=(0, 1), steps=1,
                                   shape=(F32_CASES[name].shape[0], side, side))
         for name, (n, side) in SIZES.items()}
# How far convoy may be from the judge: so many times as far as autocast is, and this more.
# A single parameter's error is a matter of a few decisions of ReLUs.
TIMES, MORE = 1.5, 2e-3
EACH_TIMES, EACH_MORE = 2, 2e-2
# And how far convoy's gradients may point from autocast's: two programs whose errors have
# nothing to do with each other are apart by both.
APART_TIMES, APART_MORE = 3, 1e-4


def has_bf16():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


class Product(torch.autograd.Function):
    """A convolution or fully connected layer of bf16 values, whose sums are in f32, as oneDNN
    makes them. PyTorch without oneDNN's sums bf16 values in bf16 and is far off."""

    @staticmethod
    def forward(ctx, of, *factors):
        ctx.of = of
        ctx.save_for_backward(*factors)
        with torch.autocast("cpu", enabled=False):
            return of(*(f.float() for f in factors)).bfloat16()

    @staticmethod
    def backward(ctx, gradient):
        factors = [f.float().requires_grad_() for f in ctx.saved_tensors]
        with torch.enable_grad():
            made = ctx.of(*factors)
        made.backward(gradient.float())
        return None, *(f.grad.bfloat16() for f in factors)


class Products:
    """While it is entered, F.conv2d and F.linear are Products of bf16 values."""

    def __enter__(self):
        self.kept = conv2d, linear = F.conv2d, F.linear

        def product(of, *factors):
            return Product.apply(of, *(f.bfloat16() for f in factors if f is not None))

        def conv(x, weight, bias, *shape):
            return product(lambda x, w, b=None: conv2d(x, w, b, *shape), x, weight, bias)

        F.conv2d, F.linear = conv, lambda x, w, b: product(linear, x, w, b)

    def __exit__(self, *_):
        F.conv2d, F.linear = self.kept


def outcome(case, net, logits, labels):
    """The same names and numbers as step_tool writes."""
    losses = F.cross_entropy(logits, labels, reduction="none",
                             label_smoothing=case.smoothing)
    net.zero_grad(set_to_none=True)
    losses.mean().backward()
    return {"logits": logits.detach().numpy(), "losses": losses.detach().numpy(),
            "grads": {name: p.grad.numpy().copy() for name, p in net.named_parameters()}}


def run(tool, case, seed):
    """What convoy, autocast and the judge made of the same weights and images."""
    torch.manual_seed(seed)
    net = case.make(case.classes)
    images, labels = f32.make_batches(case)
    torch_nets.randomise(net, images[0], case.means)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    weights = f32.copy_of(f32.state_of(net))
    judge = outcome(case, net, net.train()(images[0]), labels[0])
    with Products(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(images[0])
    theirs = outcome(case, net, logits.float(), labels[0])
    return f32.by_convoy(tool, case, weights, images, labels, "bf16"), theirs, judge


def distance(a, b):
    return f32.norm(a - b) / f32.norm(b)


def all_of(gradients, names):
    return np.concatenate([gradients[name].ravel().astype("f8") for name in names])


def angle(a, b):
    """1 less the cosine."""
    return 1 - a @ b / (f32.norm(a) * f32.norm(b))


def distances(out, judge):
    """kind -> how far out is from the judge; "each": by parameter."""
    names = sorted(judge["grads"])
    if set(out["grads"]) != set(names):
        raise AssertionError(f"only one of both has {set(out['grads']) ^ set(names)}")
    least = f32.GRAD_FLOOR * max(map(f32.norm, judge["grads"].values()))
    each = {name: f32.norm(out["grads"][name] - of) / max(f32.norm(of), least)
            for name, of in judge["grads"].items()}
    return {"logits": distance(out["logits"], judge["logits"]),
            "losses": distance(out["losses"], judge["losses"]),
            "grads": distance(all_of(out["grads"], names), all_of(judge["grads"], names)),
            "each": each}


def check(tool, name, seed):
    """Prints the case's table; whether all bounds hold."""
    case = CASES[name]
    made = run(tool, case, seed)
    ours, theirs = (distances(out, made[2]) for out in made[:2])
    print(f"{name}: {case.model} on {case.n} x {case.shape}, draw {seed}, loss "
          f"{made[2]['losses'].mean():.3g}\n"
          f"  {'':8} convoy-f32  (bound)  autocast-f32  worst parameter")
    each, other = ours.pop("each"), theirs.pop("each")
    bounds = {name: EACH_TIMES * error + EACH_MORE for name, error in other.items()}
    worst = max(each, key=lambda name: np.nan_to_num(each[name] / bounds[name], nan=np.inf))
    rows = [(kind, ours[kind], TIMES * theirs[kind] + MORE, theirs[kind], "")
            for kind in ours]
    rows.append(("each", each[worst], bounds[worst], other[worst], worst))
    vectors = [all_of(out["grads"], sorted(each)) for out in made]
    apart, usual = angle(*vectors[:2]), angle(*vectors[1:])
    rows.append(("angle", apart, APART_TIMES * usual + APART_MORE, usual,
                 "convoy-autocast, not convoy-f32"))
    holds = True
    for kind, error, limit, usual, said in rows:
        fine = error <= limit
        holds = holds and fine
        print(f"  {kind:8} {error:10.2e}  ({limit:.1e}) {usual:12.2e}  "
              f"{said}{'' if fine else '  FAILED'}")
    return holds


def main():
    tool, *names = sys.argv[1:]
    if not has_bf16() and not os.environ.get("BF16_ELSEWHERE"):
        print("SKIPPED: this processor does not multiply bf16")
        sys.exit(77)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for name in names or CASES:
        if not any(check(tool, name, seed) for seed in range(1, 1 + f32.N_DRAWS)):
            sys.exit(f"{name}: FAILED with {f32.N_DRAWS} draws of weights and images")


if __name__ == "__main__":
    main()
