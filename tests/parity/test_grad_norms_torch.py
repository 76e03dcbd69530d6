"""metrics.grad_norms against PyTorch: from the same initial weights and the same batches, the
length of every weight's gradient in the first steps.

    test_grad_norms_torch.py CONVOY
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

CONVOY = sys.argv[1]
STEPS, BATCH, MICROBATCH, CLASSES, LR = 3, 32, 16, 10, 0.001
MEAN, STD, DECAY = 0.286, 0.353, 0.001
# Both sum in f32, and the first step agrees to some 1e-7. Where rounding decides whether a
# ReLU lets one value of a batch through, neither is wrong: such a step is further off, and
# so are those behind it, whose weights are others. A first step of this kind is drawn anew:
# a mistake shows in every draw.
FIRST_BOUND, LATER_BOUND, N_DRAWS = 1e-5, 1e-2, 4
NETS = [("lenet", torch_nets.LeNet), ("resnet20", torch_nets.ResNet20)]

RECIPE = f"""
model: {{name: NAME}}
data: {{train: FOLDER/data.h5, shuffle: false, mean: [{MEAN}], std: [{STD}]}}
batch: {{size: {BATCH}, microbatch: {MICROBATCH}}}
optimizer: {{momentum: 0.9, weight_decay: {DECAY}}}
schedule: {{epochs: 1, lr: {LR}, decay: constant}}
metrics: {{every_steps: 1, grad_norms: true}}
"""


def convoy(*arguments):
    subprocess.run([CONVOY, *arguments], check=True, timeout=300, stdout=subprocess.DEVNULL)


def make_pack(folder, draw):
    random = np.random.default_rng(draw)
    labels = random.integers(0, CLASSES, STEPS * BATCH).astype("u1")
    images = random.integers(0, 256, (len(labels), 28, 28)).astype("u1")
    path = os.path.join(folder, "train-images-idx3-ubyte")
    with open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with open(path.replace("images-idx3", "labels-idx1"), "wb") as f:
        f.write(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
    convoy("pack", path, "-o", os.path.join(folder, "data.h5"), "--quiet")
    x = ((torch.tensor(images).float() / 255 - MEAN) / STD).unsqueeze(1)
    return x, torch.tensor(labels).long()


def train(folder, name):
    """The initial weights, and the lengths of each step."""
    recipe, out = (os.path.join(folder, name + end) for end in (".yaml", ""))
    with open(recipe, "w") as f:
        f.write(RECIPE.replace("NAME", name).replace("FOLDER", folder))
    convoy("train", recipe, "--out", out, "--quiet", "--stop-after-steps", "0")
    with h5py.File(os.path.join(out, "checkpoints", "step-00000000.h5")) as f:
        weights = {name: torch.tensor(values[()]) for group in ("params", "buffers")
                   if group in f for name, values in f[group].items()}
    convoy("train", recipe, "--out", out, "--quiet")
    with open(os.path.join(out, "metrics.jsonl")) as f:
        lines = [json.loads(line) for line in f]
    return weights, [line["grad_norms"] for line in lines if line["event"] == "step"]


def torch_norms(net, weights, x, y):
    missing = net.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys, missing
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, weight_decay=DECAY)
    net.train()
    for begin in range(0, len(y), BATCH):
        optimizer.zero_grad()
        for at in range(begin, begin + BATCH, MICROBATCH):
            part = slice(at, at + MICROBATCH)
            loss = F.cross_entropy(net(x[part]), y[part]) * MICROBATCH / BATCH
            loss.backward()
        yield {name: p.grad.double().norm().item() for name, p in net.named_parameters()
               if p.dim() > 1}
        optimizer.step()


def differences(name, make, draw):
    """Of each step, the largest relative one."""
    with tempfile.TemporaryDirectory() as folder:
        data = make_pack(folder, draw)
        weights, ours = train(folder, name)
        theirs = list(torch_norms(make(CLASSES), weights, *data))
    assert len(ours) == len(theirs) == STEPS, (len(ours), len(theirs))
    worst = []
    for mine, expected in zip(ours, theirs):
        assert list(mine) == list(expected), (list(mine), list(expected))
        worst.append(max(abs(mine[k] / expected[k] - 1) for k in expected))
    print(f"{name}: {len(expected)} layers, largest relative differences of steps",
          " ".join(f"{value:.1e}" for value in worst))
    return worst


def main():
    torch.set_num_threads(1)
    for name, make in NETS:
        for draw in range(1, 1 + N_DRAWS):
            worst = differences(name, make, draw)
            if worst[0] < FIRST_BOUND and max(worst) < LATER_BOUND:
                break
        else:
            sys.exit(f"{name}: FAILED with {N_DRAWS} draws")


main()
