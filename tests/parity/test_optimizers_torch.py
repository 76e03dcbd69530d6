"""Optimizers against PyTorch, where it has them, and else against NumPy in double, written
here from the published formulas (docs/optimizers.md).

    test_optimizers_torch.py OPTIM_TOOL CONVOY

20 steps of each over tensors of many sizes, with a rate that changes: weights agree to 1e-5
of their norm, and so do, to 1e-3, the ways that they went; another form of the same
optimizer must not agree. And trainings of a small net: the losses of ten steps agree to 1e-4
with PyTorch's gradients under the same formulas, and the weights after them to 1e-4.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torch python3-h5py python3-numpy")
    sys.exit(77)
import torch_nets
from patch_images import CLASSES, write_patch_images

TOOL, CONVOY = sys.argv[1:]
STEPS = 20


class Lars:
    """MLPerf's reference and Intel's submission: docs/optimizers.md."""

    def __init__(self, momentum=0.9, nesterov=False, trust_coefficient=1e-3, epsilon=0.0,
                 momentum_form="scaled"):
        self.mu, self.nesterov, self.eta = momentum, nesterov, trust_coefficient
        self.epsilon, self.form, self.v = epsilon, momentum_form, {}

    def step(self, t, lr, momentum, tensors):
        mu = self.mu if momentum is None else momentum
        for i, (w, g, decay, adapts) in enumerate(tensors):
            v = self.v.setdefault(i, np.zeros_like(w))
            w_norm, g_norm = np.linalg.norm(w), np.linalg.norm(g)
            r = 1.0
            if adapts and w_norm > 0 and g_norm > 0:
                r = self.eta * w_norm / (g_norm + decay * w_norm + self.epsilon)
            d = g + decay * w
            if self.form == "scaled":
                v[:] = mu * v - lr * r * d
                w += mu * v - lr * r * d if self.nesterov else v
            else:
                v[:] = mu * v + d
                w -= lr * r * (d + mu * v if self.nesterov else v)


class Lamb:
    """Algorithm 2 of arXiv 1904.00962 with the paper's bias correction."""

    def __init__(self, beta1=0.9, beta2=0.999, epsilon=1e-6):
        self.betas, self.epsilon, self.state = (beta1, beta2), epsilon, {}

    def step(self, t, lr, momentum, tensors):
        b1, b2 = self.betas if momentum is None else (momentum, self.betas[1])
        for i, (w, g, decay, adapts) in enumerate(tensors):
            m, v = self.state.setdefault(i, (np.zeros_like(w), np.zeros_like(w)))
            m[:] = b1 * m + (1 - b1) * g
            v[:] = b2 * v + (1 - b2) * g * g
            u = (m / (1 - b1 ** t)) / (np.sqrt(v / (1 - b2 ** t)) + self.epsilon)
            u += decay * w
            w_norm, u_norm = np.linalg.norm(w), np.linalg.norm(u)
            r = w_norm / u_norm if adapts and w_norm > 0 and u_norm > 0 else 1.0
            w -= lr * r * u


class Torch:
    """An optimizer of PyTorch's, in double."""

    def __init__(self, make, key="momentum"):
        self.make, self.key, self.optimizer = make, key, None

    def step(self, t, lr, momentum, tensors):
        if self.optimizer is None:
            self.params = [torch.from_numpy(w) for w, *_ in tensors]  # shared memory
            self.optimizer = self.make([{"params": [p], "weight_decay": decay} for p, (
                _, _, decay, _) in zip(self.params, tensors)])
        for group in self.optimizer.param_groups:
            group["lr"] = lr
            if momentum is not None and self.key == "betas":
                group["betas"] = (momentum, group["betas"][1])
            elif momentum is not None:
                group["momentum"] = momentum
        for p, (_, g, _, _) in zip(self.params, tensors):
            p.grad = torch.from_numpy(g)
        self.optimizer.step()


def sgd(**options):
    return Torch(lambda groups: torch.optim.SGD(groups, lr=1.0, **options))


def adamw(**options):
    return Torch(lambda groups: torch.optim.AdamW(groups, lr=1.0, **options), "betas")


def clip(grads, most):
    """torch.nn.utils.clip_grad_norm_ of these arrays; new ones."""
    params = [torch.zeros(g.shape, dtype=torch.float64) for g in grads]
    for p, g in zip(params, grads):
        p.grad = torch.from_numpy(g.copy())
    torch.nn.utils.clip_grad_norm_(params, most)
    return [p.grad.numpy() for p in params]


# Optimizer, its options, another implementation, what it must not agree with, and: the
# rate, the decay, the most that the gradient's norm may be, whether momentum changes.
CASES = [
    ("sgd", {}, lambda: sgd(momentum=0.9), lambda: sgd(momentum=0.9, nesterov=True),
     0.1, 1e-2, 0, False),
    ("sgd", {"nesterov": "true"}, lambda: sgd(momentum=0.9, nesterov=True),
     lambda: sgd(momentum=0.9), 0.1, 1e-2, 10.0, True),
    ("lars", {}, Lars, lambda: Lars(momentum_form="unscaled"), 10.0, 2e-4, 0, False),
    ("lars", {"nesterov": "true"}, lambda: Lars(nesterov=True), Lars, 10.0, 2e-4, 0, False),
    ("lars", {"momentum_form": "unscaled"}, lambda: Lars(momentum_form="unscaled"), Lars,
     10.0, 5e-5, 0, True),
    ("lars", {"momentum_form": "unscaled", "nesterov": "true", "epsilon": "3",
              "trust_coefficient": "0.02", "momentum": "0.5"},
     lambda: Lars(0.5, True, 0.02, 3.0, "unscaled"),
     lambda: Lars(0.5, True, 0.02, 0.0, "unscaled"), 1.0, 0.1, 0, False),
    ("lars", {}, Lars, lambda: Lars(epsilon=0.1), 10.0, 5e-3, 0.1, True),
    ("adamw", {}, adamw, lambda: adamw(betas=(0.9, 0.9)), 1e-2, 0.1, 0, False),
    ("adamw", {"beta1": "0.8", "beta2": "0.95", "epsilon": "0.01"},
     lambda: adamw(betas=(0.8, 0.95), eps=0.01), adamw, 1e-2, 0.1, 0.5, True),
    ("lamb", {}, Lamb, lambda: Lamb(beta2=0.9), 1e-2, 0.1, 0, False),
    ("lamb", {"beta1": "0.7", "epsilon": "0.01"}, lambda: Lamb(0.7, 0.999, 0.01), Lamb,
     1e-2, 0.1, 0.5, True),
]

# Length, whether a weight, how large values and gradients are: of several pieces, of one,
# norms and biases, weights that are 0, weights without gradient.
TENSORS = [(40001, True, 0.05, 0.1), (500, True, 2.0, 1e-3), (64, False, 1.0, 0.5),
           (3, False, 0.0, 1.0), (333, True, 0.0, 0.2), (1000, True, 0.3, 0.0)]


def decays(adapts, decay):
    return decay if adapts else 0.0


def ours(case, start, rates, grads):
    name, options, _, _, _, decay, most, _ = case
    data = b"".join(w.tobytes() for w in start)
    for step in range(STEPS):
        lr, momentum = rates[step]
        data += struct.pack("dd", lr, -1 if momentum is None else momentum)
        data += b"".join(g.tobytes() for g in grads[step])
    lengths = ",".join(f"{n}:{int(adapts)}" for n, adapts, *_ in TENSORS)
    done = subprocess.run(
        [TOOL, name, str(most), str(decay), str(STEPS), lengths,
         *(f"{k}={v}" for k, v in options.items())],
        input=data, stdout=subprocess.PIPE, check=True, timeout=60)
    values = np.frombuffer(done.stdout, "f4").reshape(STEPS, -1).astype("f8")
    return [np.split(row, np.cumsum([n for n, *_ in TENSORS])[:-1]) for row in values]


def theirs(case, other, start, rates, grads):
    _, _, _, _, _, decay, most, _ = case
    weights = [w.astype("f8") for w in start]
    after = []
    for step in range(STEPS):
        g = [x.astype("f8") for x in grads[step]]
        g = clip(g, most) if most else g
        other.step(step + 1, *rates[step], [
            (w, x, decays(t[1], decay), t[1]) for w, x, t in zip(weights, g, TENSORS)])
        after.append([w.copy() for w in weights])
    return after


def differences(a, b, start):
    """The largest of all steps and tensors: of weights, and of the way they went."""
    weights = way = 0.0
    for at_a, at_b in zip(a, b):
        for x, y, w in zip(at_a, at_b, start):
            weights = max(weights, np.linalg.norm(x - y) / np.linalg.norm(y))
            gone = np.linalg.norm(y - w)
            # A weight's own rounding, a step long, is no difference of the way.
            rounding = 6e-8 * np.linalg.norm(y) * STEPS
            way = max(way, max(0.0, np.linalg.norm(x - y) - rounding) / gone)
    return weights, way


def compare_steps(case):
    name, options, make, make_wrong, peak, _, most, cycles = case
    random = np.random.default_rng(7)
    start = [(random.normal(size=n) * size).astype("f4") for n, _, size, _ in TENSORS]
    grads = [[(random.normal(size=n) * size).astype("f4") for n, _, _, size in TENSORS]
             for _ in range(STEPS)]
    rates = [(peak * min(1, (t + 1) / 5) * 0.9 ** max(0, t - 8),
              0.5 + 0.4 * t / STEPS if cycles else None) for t in range(STEPS)]
    found = ours(case, start, rates, grads)
    weights, way = differences(found, theirs(case, make(), start, rates, grads), start)
    _, wrong = differences(found, theirs(case, make_wrong(), start, rates, grads), start)
    print(f"{name} {options} clip {most}: weights differ by {weights:.1e}, the way by "
          f"{way:.1e}; with another form by {wrong:.1e}")
    return weights <= 1e-5 and way <= 1e-3 and wrong > 1e-2


BATCH, MICROBATCH, MEAN, STD = 32, 16, 0.286, 0.353
TRAINED, LOSSES = 10, 10

# Optimizer, settings, another implementation, rate, decay, clipping.
TRAININGS = [
    ("lars", ["optimizer.momentum_form=unscaled", "optimizer.trust_coefficient=0.1"],
     lambda: Lars(momentum_form="unscaled", trust_coefficient=0.1), 0.05, 1e-3, 0),
    ("lars", ["optimizer.nesterov=true", "optimizer.trust_coefficient=0.1"],
     lambda: Lars(nesterov=True, trust_coefficient=0.1), 0.1, 1e-3, 0.5),
    ("lamb", [], Lamb, 0.01, 1e-2, 0),
    ("adamw", ["optimizer.decay_norm_and_bias=false", "schedule.warmup_epochs=1",
               "schedule.warmup_momentum=0.5"], adamw, 1e-3, 0.1, 1.0),
]


def convoy(*arguments):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    subprocess.run([CONVOY, *arguments], check=True, env=environment, timeout=300)


def read_weights(out, step):
    with h5py.File(os.path.join(out, "checkpoints", f"step-{step:08d}.h5")) as f:
        return {k: torch.tensor(v[()]) for k, v in f["params"].items()}


def convoy_trains(folder, pack, number, training):
    name, settings, _, lr, decay, most = training
    recipe, out = os.path.join(folder, "r.yaml"), os.path.join(folder, f"run{number}")
    with open(recipe, "w") as f:
        f.write(f"""
model: {{name: lenet}}
data: {{train: {pack}, shuffle: false, mean: [{MEAN}], std: [{STD}]}}
batch: {{size: {BATCH}, microbatch: {MICROBATCH}}}
optimizer: {{name: {name}, weight_decay: {decay}, clip_norm: {most}}}
schedule: {{epochs: 1, lr: {lr}, decay: constant}}
metrics: {{every_steps: 1}}
""")
    train = ["train", recipe, "--out", out, "--quiet"]
    for setting in settings:
        train += ["--set", setting]
    convoy(*train, "--stop-after-steps", "0")
    convoy(*train)
    with open(os.path.join(out, "metrics.jsonl")) as f:
        lines = [line for line in map(json.loads, f) if line["event"] == "step"]
    return read_weights(out, 0), read_weights(out, TRAINED), lines


def rate_of(training, step):
    """The rate and momentum: with a warmup, which is all of the training, they grow."""
    _, settings, _, lr, _, _ = training
    if "schedule.warmup_epochs=1" not in settings:
        return lr, None
    part = (step + 1) / TRAINED
    return lr * part, 0.5 + (0.9 - 0.5) * part


def torch_trains(net, weights, images, labels, training):
    """Gradients are PyTorch's, in f32; the optimizer works on the same memory, in double."""
    _, _, make, _, decay, most = training
    net.load_state_dict(weights)
    other, losses, norms = make(), [], []
    names = [name for name, _ in net.named_parameters()]
    kept = [p.detach().numpy().astype("f8") for p in net.parameters()]
    x = ((torch.tensor(images).float() / 255 - MEAN) / STD).unsqueeze(1)
    y = torch.tensor(labels).long()
    for step in range(TRAINED):
        part = slice(step * BATCH, (step + 1) * BATCH)
        net.zero_grad()
        loss = F.cross_entropy(net(x[part]), y[part])
        loss.backward()
        losses.append(loss.item())
        grads = [p.grad.numpy().astype("f8") for p in net.parameters()]
        norms.append(float(np.sqrt(sum((g * g).sum() for g in grads))))
        grads = clip(grads, most) if most else grads
        is_weight = [name.endswith("weight") for name in names]
        other.step(step + 1, *rate_of(training, step), [
            (w, g, decays(a, decay), a) for w, g, a in zip(kept, grads, is_weight)])
        with torch.no_grad():
            for p, w in zip(net.parameters(), kept):
                p.copy_(torch.from_numpy(w))
    return losses, norms, dict(zip(names, kept))


def compare_training(folder, pack, images, labels, number):
    training = TRAININGS[number]
    first, last, lines = convoy_trains(folder, pack, number, training)
    losses, norms, weights = torch_trains(
        torch_nets.LeNet(CLASSES), first, images, labels, training)
    off = max(abs(line["loss"] - loss) / loss for line, loss in zip(lines, losses))
    way = max(np.linalg.norm(last[k].numpy() - w) / np.linalg.norm(w)
              for k, w in weights.items())
    good = len(lines) == TRAINED and off <= 1e-4 and way <= 1e-4 and losses[-1] < losses[0]
    if training[-1]:
        off_norm = max(abs(line["grad_norm"] - n) / n for line, n in zip(lines, norms))
        clipped = [line["clipped_steps"] == (n > training[-1])
                   for line, n in zip(lines, norms)]
        good = good and off_norm <= 1e-3 and all(clipped)
        print(f"  norms differ by {off_norm:.1e}, {sum(n > training[-1] for n in norms)} "
              "steps are clipped")
    else:
        good = good and "grad_norm" not in lines[0]
    print(f"{training[0]} {training[1]} trains: loss {losses[0]:.5f} -> {losses[-1]:.5f}; "
          f"losses differ by {off:.1e}, weights in the end by {way:.1e}")
    return good


def main():
    torch.set_num_threads(1)
    good = [compare_steps(case) for case in CASES]
    with tempfile.TemporaryDirectory() as folder:
        idx, images, labels = write_patch_images(folder, TRAINED * BATCH)
        pack = os.path.join(folder, "train.h5")
        convoy("pack", idx, "-o", pack, "--quiet")
        good += [compare_training(folder, pack, images, labels, number)
                 for number in range(len(TRAININGS))]
    sys.exit(not all(good))


main()
