"""convoy landscape against PyTorch: the losses and accuracies of all points, computed at
the weights that its directions.h5 gives, w + x d + y e; and the directions themselves, as
Li et al. (2018) have them: as long as the weights, filter by filter.

    test_landscape_torch.py CONVOY
"""
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
CLASSES, N, MICROBATCH, MEAN, STD = 10, 72, 16, 0.286, 0.353
# Both sum in f32, whose 6e-8 a point that is far from the net makes larger, layer by layer:
# measured are 4e-7 where the loss is 26,000.
BOUND = 1e-5
NETS = [("lenet", torch_nets.LeNet), ("resnet20", torch_nets.ResNet20)]

RECIPE = f"""
model: {{name: NAME}}
data: {{train: FOLDER/data.h5, mean: [{MEAN}], std: [{STD}]}}
batch: {{size: 32, microbatch: {MICROBATCH}}}
schedule: {{epochs: 4, lr: 0.02}}
"""


def convoy(*arguments):
    subprocess.run([CONVOY, *map(str, arguments)], check=True, timeout=300,
                   stdout=subprocess.DEVNULL)


def make_pack(folder):
    random = np.random.default_rng(3)
    labels = random.integers(0, CLASSES, N).astype("u1")
    images = random.integers(0, 120, (N, 28, 28)).astype("u1")
    for image, label in zip(images, labels):
        row, column = divmod(int(label), 4)
        image[row * 8 : row * 8 + 7, column * 7 : column * 7 + 7] += 100
    path = os.path.join(folder, "train-images-idx3-ubyte")
    with open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with open(path.replace("images-idx3", "labels-idx1"), "wb") as f:
        f.write(struct.pack(">II", 0x801, N) + labels.tobytes())
    convoy("pack", path, "-o", os.path.join(folder, "data.h5"), "--quiet")
    x = ((torch.tensor(images).float() / 255 - MEAN) / STD).unsqueeze(1)
    return x, torch.tensor(labels).long()


def train(folder, name):
    recipe, out = (os.path.join(folder, name + end) for end in (".yaml", ""))
    with open(recipe, "w") as f:
        f.write(RECIPE.replace("NAME", name).replace("FOLDER", folder))
    convoy("train", recipe, "--out", out, "--quiet")
    files = os.path.join(out, "checkpoints")
    return os.path.join(files, max(f for f in os.listdir(files) if f.startswith("step-")))


def tensors(group):
    return {name: np.asarray(values[()], "f8") for name, values in group.items()}


def check_directions(weights, directions):
    for axis in directions:
        assert axis.keys() == weights.keys(), (sorted(axis), sorted(weights))
        for name, w in weights.items():
            d = axis[name]
            if w.ndim < 2:
                assert not d.any(), name
                continue
            lengths = [np.linalg.norm(t.reshape(len(t), -1), axis=1) for t in (w, d)]
            assert np.allclose(*lengths, rtol=1e-5), name
            share = d.reshape(len(d), -1) / lengths[1][:, None] * np.sqrt(d[0].size)
            assert abs(share.mean()) < 6 / np.sqrt(d.size), (name, share.mean())
    if len(directions) == 2:
        for name, w in weights.items():
            if w.ndim > 1 and w.size > 1000:
                d, e = (axis[name].ravel() for axis in directions)
                cosine = d @ e / np.linalg.norm(d) / np.linalg.norm(e)
                assert abs(cosine) < 6 / np.sqrt(w.size), (name, cosine)


def torch_point(net, weights, directions, at, data):
    moved = {name: w + sum(t * axis[name] for t, axis in zip(at, directions))
             for name, w in weights.items()}
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.tensor(moved[name].astype("f4")))
        logits = net(data[0])
    right = (logits.argmax(1) == data[1]).float().mean().item()
    return F.cross_entropy(logits.double(), data[1]).item(), 100 * right


def compare(name, net, checkpoint, out, data, *options):
    convoy("landscape", "--weights", checkpoint, "--data",
           os.path.join(os.path.dirname(out), "data.h5"), "-o", out, "--quiet", *options)
    with h5py.File(checkpoint) as f:
        weights = tensors(f["params"])
        buffers = tensors(f["buffers"]) if "buffers" in f else {}
    state = {k: torch.tensor(v.astype("f4")) for k, v in {**weights, **buffers}.items()}
    missing = net.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys, missing
    net.eval()
    is_line = "--1d" in options
    with h5py.File(os.path.join(out, "directions.h5")) as f:
        directions = [tensors(f[g]) for g in ("xdirection", "ydirection")[:2 - is_line]]
        assert is_line == ("ydirection" not in f)
    check_directions(weights, directions)
    with h5py.File(os.path.join(out, "surface.h5")) as f:
        x, losses, right = (f[k][()] for k in ("xcoordinates", "train_loss", "train_acc"))
        y = [None] if is_line else f["ycoordinates"][()]
        assert is_line == ("ycoordinates" not in f)
    assert losses.shape == right.shape == ((len(x),) if is_line else (len(y), len(x)))
    worst = 0
    for j, b in enumerate(y):
        for i, a in enumerate(x):
            at, index = ([a], i) if is_line else ([a, b], (j, i))
            loss, percent = torch_point(net, weights, directions, at, data)
            worst = max(worst, abs(losses[index] - loss) / loss)
            # A tie of two logits may fall either way.
            assert abs(right[index] - percent) <= 100 / len(data[1]) + 1e-9, (at, percent)
    print(f"{name} {' '.join(options)}: losses {losses.min():.4f} to {losses.max():.4f}, "
          f"largest relative difference {worst:.1e}")
    assert worst < BOUND, worst
    assert losses.max() > 1.1 * losses.min(), "the landscape is flat"


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = make_pack(folder)
        for name, make in NETS:
            checkpoint, net = train(folder, name), make(CLASSES)
            compare(name, net, checkpoint, os.path.join(folder, f"{name}-plane"), data,
                    "--points", "4", "--seed", "5", "--range", "-0.8:1.2")
            if name != "lenet":  # the rest is not a matter of the net
                continue
            compare(name, net, checkpoint, os.path.join(folder, f"{name}-line"), data,
                    "--points", "5", "--1d")
            # 40 samples take 3 microbatches, of records that are evenly spread.
            taken = 3 * MICROBATCH
            part = torch.tensor([k * N // taken for k in range(taken)])
            compare(name, net, checkpoint, os.path.join(folder, f"{name}-part"),
                    (data[0][part], data[1][part]), "--points", "3", "--samples", "40")


main()
