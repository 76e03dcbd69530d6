"""Averaged weights and batch norms' statistics afresh against PyTorch's own: the weights
of each step of a training with convoy go into torch's AveragedModel, as torchvision's
references/classification/train.py calls it, and through torch's update_bn.

    test_average_torch.py CONVOY
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
    from torch.optim.swa_utils import AveragedModel, update_bn
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torch python3-h5py python3-numpy")
    sys.exit(77)
import torch_nets

CONVOY = sys.argv[1]
BATCH, MICROBATCH, PER_EPOCH, EPOCHS, WARMUP = 32, 16, 4, 3, 1
DECAY, EVERY, BN_BATCHES = 0.97, 2, 3
CLASSES, N_VAL, MEAN, STD = 10, 48, 0.286, 0.353

RECIPE = f"""
model: {{name: resnet20}}
data: {{train: FOLDER/train.h5, val: FOLDER/val.h5, shuffle: false, mean: [{MEAN}], std: [{STD}]}}
batch: {{size: {BATCH}, microbatch: {MICROBATCH}}}
schedule: {{epochs: {EPOCHS}, lr: 0.05, warmup_epochs: {WARMUP}}}
ema: {{decay: {DECAY}, every_steps: {EVERY}}}
eval: {{batch_norm: BATCH_NORM, batches: {BN_BATCHES}}}
checkpoint: {{every_steps: 1, keep: 100}}
"""


def convoy(*arguments):
    subprocess.run([CONVOY, *arguments], check=True, timeout=300, stdout=subprocess.DEVNULL)


def make_pack(folder, name, n, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, n).astype("u1")
    images = random.integers(0, 120, (n, 28, 28)).astype("u1")
    for image, label in zip(images, labels):
        row, column = divmod(int(label), 4)
        image[row * 8 : row * 8 + 7, column * 7 : column * 7 + 7] += 100
    path = os.path.join(folder, f"{name}-images-idx3-ubyte")
    with open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with open(path.replace("images-idx3", "labels-idx1"), "wb") as f:
        f.write(struct.pack(">II", 0x801, n) + labels.tobytes())
    convoy("pack", path, "-o", os.path.join(folder, f"{name}.h5"), "--quiet")
    x = ((torch.tensor(images).float() / 255 - MEAN) / STD).unsqueeze(1)
    return x, torch.tensor(labels).long()


def weights(path, prefix=""):
    with h5py.File(path) as f:
        return {name: torch.tensor(values[()]) for group in ("params", "buffers")
                for name, values in f[prefix + group].items()}


def train(folder, batch_norm):
    out = os.path.join(folder, batch_norm)
    recipe = os.path.join(folder, f"{batch_norm}.yaml")
    with open(recipe, "w") as f:
        f.write(RECIPE.replace("FOLDER", folder).replace("BATCH_NORM", batch_norm))
    convoy("train", recipe, "--out", out, "--quiet")
    with open(os.path.join(out, "metrics.jsonl")) as f:
        lines = [json.loads(line) for line in f]
    epochs = [line for line in lines if line["event"] == "epoch"]
    files = os.path.join(out, "checkpoints", "step-{:08}.h5")
    return files, epochs


def worst(found, expected):
    """The largest difference, relative to the largest value of a tensor."""
    assert found.keys() == {k for k in expected if not k.endswith("num_batches_tracked")}
    return max(((found[k] - expected[k]).abs().max() / expected[k].abs().max()).item()
               for k in found)


def averages(net, files):
    """The weights that torchvision's model_ema has after each step."""
    alpha = min(1.0, (1.0 - DECAY) * BATCH * EVERY / EPOCHS)
    net.load_state_dict(weights(files.format(1)), strict=False)
    ema = AveragedModel(net, use_buffers=True,
                        avg_fn=lambda avg, new, n: (1 - alpha) * avg + alpha * new)
    for step in range(EPOCHS * PER_EPOCH):
        epoch, i = divmod(step, PER_EPOCH)
        net.load_state_dict(weights(files.format(step + 1)), strict=False)
        if i % EVERY == 0:
            ema.update_parameters(net)
            if epoch < WARMUP:
                ema.n_averaged.fill_(0)
        yield step + 1, ema.module.state_dict()


def loss_of(net, images, labels):
    net.eval()
    with torch.no_grad():
        return F.cross_entropy(net(images), labels).item()


def main():
    torch.set_num_threads(1)
    net = torch_nets.ResNet20(CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        images, _ = make_pack(folder, "train", PER_EPOCH * BATCH, 1)
        val = make_pack(folder, "val", N_VAL, 2)
        files, running = train(folder, "running")
        again, recomputed = train(folder, "recompute")
        off = [worst(weights(files.format(step), "ema/"), theirs)
               for step, theirs in averages(net, files)]
        print(f"average: largest relative difference {max(off):.1e} in {len(off)} steps")
        assert max(off) < 1e-5, off
        last = EPOCHS * PER_EPOCH
        parts = list(images[:BN_BATCHES * BATCH].split(MICROBATCH))
        for prefix, key in (("", "val_loss"), ("ema/", "ema_loss")):
            ours = weights(files.format(last), prefix)
            for name, values in weights(again.format(last), prefix).items():
                assert torch.equal(values, ours[name]), name  # evaluating leaves no trace
            net.load_state_dict(ours, strict=False)
            plain = loss_of(net, *val)
            update_bn(parts, net)
            fresh = loss_of(net, *val)
            for name, line, theirs in (("running", running[-1][key], plain),
                                       ("recompute", recomputed[-1][key], fresh)):
                print(f"{key}, {name}: {line:.6f}, torch {theirs:.6f}")
                assert abs(line - theirs) < 2e-5 * abs(theirs), (name, key)
            assert abs(plain - fresh) > 1e-3 * abs(plain), (plain, fresh)


main()
