"""Training against PyTorch: from the same initial weights and with the same data in the same
order, the losses of the first steps must agree.

    test_training_torch.py CONVOY

Each case trains 12 steps, or where the images' size changes with the epoch two epochs of two
steps, with convoy (shuffling and augmentation off) and the same net in
PyTorch, each microbatch on its own so that batch norm sees the same samples. The first ten
losses must agree to 1e-4 relative; later ones drift apart by rounding, as they do between
two PyTorch builds, and are only printed.
"""
import json
import os
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

CONVOY = sys.argv[1]
STEPS, BATCH, MICROBATCH = 12, 32, 16
MEAN, STD = 0.286, 0.353

# Name, net, learning rate, other settings, images' sizes by epoch.
CASES = [
    ("resnet20", torch_nets.ResNet20, 0.001,
     ["optimizer.nesterov=true", "loss.label_smoothing=0.1"], [28]),
    ("mlp", torch_nets.MLP, 0.003, ["optimizer.decay_norm_and_bias=false"], [28]),
    ("lenet", torch_nets.LeNet, 0.02, [], [28]),
    ("resnet20", torch_nets.ResNet20, 0.001,
     ["schedule.epochs=2", "data.crop=[{epoch: 0, crop: 20}, {epoch: 1, crop: 28}]"],
     [20, 28]),
]


def convoy(*arguments):
    environment = dict(os.environ, OMP_NUM_THREADS="2")
    subprocess.run([CONVOY, *arguments], check=True, env=environment, timeout=600)


def convoy_losses(folder, name, pack, lr, settings, steps):
    recipe = os.path.join(folder, f"{name}-{steps}.yaml")
    out = os.path.join(folder, f"{name}-{steps}")
    with open(recipe, "w") as f:
        f.write(
            f"""
model: {{name: {name}}}
data: {{train: {pack}, shuffle: false, mean: [{MEAN}], std: [{STD}]}}
batch: {{size: {BATCH}, microbatch: {MICROBATCH}}}
optimizer: {{momentum: 0.9, weight_decay: 1.0e-3}}
schedule: {{epochs: 1, lr: {lr}, decay: constant}}
metrics: {{every_steps: 1}}
threads: 2
"""
        )
    train = ["train", recipe, "--out", out, "--quiet"]
    for setting in settings:
        train += ["--set", setting]
    convoy(*train, "--stop-after-steps", "0")
    initial = os.path.join(out, "checkpoints", "step-00000000.h5")
    with h5py.File(initial) as f:
        weights = {k: torch.tensor(v[()]) for k, v in f["params"].items()}
        buffers = f["buffers"].items() if "buffers" in f else []
        weights.update({k: torch.tensor(v[()]) for k, v in buffers})
    convoy(*train, "--stop-after-steps", str(steps))
    with open(os.path.join(out, "metrics.jsonl")) as f:
        lines = [json.loads(line) for line in f]
    return weights, [line["loss"] for line in lines if line["event"] == "step"]


def batches(images, labels, sizes):
    """Each step's, an epoch of each size: the middle of the images."""
    for size in sizes:
        edge = (28 - size) // 2
        x = images[:, edge:edge + size, edge:edge + size]
        x = ((torch.tensor(x).float() / 255 - MEAN) / STD).unsqueeze(1)
        y = torch.tensor(labels).long()
        for begin in range(0, len(labels), BATCH):
            yield x[begin:begin + BATCH], y[begin:begin + BATCH]


def torch_losses(net, weights, steps, lr, settings):
    missing = net.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys, missing.unexpected_keys
    assert all(k.endswith("num_batches_tracked") for k in missing.missing_keys), missing
    spared = [p for p in net.parameters() if p.dim() == 1]
    decayed = [p for p in net.parameters() if p.dim() > 1]
    spare = "optimizer.decay_norm_and_bias=false" in settings
    optimizer = torch.optim.SGD(
        [{"params": decayed}, {"params": spared, "weight_decay": 0 if spare else 1e-3}],
        lr=lr, momentum=0.9, weight_decay=1e-3,
        nesterov="optimizer.nesterov=true" in settings)
    smoothing = 0.1 if "loss.label_smoothing=0.1" in settings else 0.0
    losses = []
    net.train()
    for x, y in steps:
        optimizer.zero_grad()
        total = 0.0
        for begin in range(0, BATCH, MICROBATCH):
            part = slice(begin, begin + MICROBATCH)
            loss = F.cross_entropy(net(x[part]), y[part], label_smoothing=smoothing)
            loss = loss * MICROBATCH / BATCH
            loss.backward()
            total += loss.item()
        optimizer.step()
        losses.append(total)
    return losses


def main():
    torch.set_num_threads(2)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, make, lr, settings, sizes in CASES:
            n = STEPS * BATCH if len(sizes) == 1 else 2 * BATCH
            idx, images, labels = write_patch_images(os.path.join(folder, str(n)), n)
            pack = os.path.join(folder, f"{n}.h5")
            if not os.path.exists(pack):
                convoy("pack", idx, "-o", pack, "--quiet")
            steps = list(batches(images, labels, sizes))
            weights, ours = convoy_losses(folder, name, pack, lr, settings, len(steps))
            theirs = torch_losses(make(CLASSES), weights, steps, lr, settings)
            assert len(ours) == len(theirs) == len(steps), (len(ours), len(theirs))
            off = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
            print(f"{name}: loss {theirs[0]:.6f} -> {theirs[-1]:.6f}; largest relative "
                  f"difference {max(off[:10]):.1e} in steps 1-10, {max(off):.1e} in 1-{len(off)}")
            learns = len(sizes) > 1 or theirs[-1] < theirs[0]  # sizes differ in their loss
            if max(off[:10]) > 1e-4 or not learns:
                print(f"  FAILED: convoy {ours[:10]}\n          torch  {theirs[:10]}")
                failed = True
    sys.exit(failed)


main()
