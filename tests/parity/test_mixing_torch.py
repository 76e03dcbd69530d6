"""test_mixing_torch.py AUGMENT_TOOL CONVOY: mixup and cutmix against PyTorch: the shares'
distribution, pixels and targets of a microbatch, and 20 steps of training with them."""
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"{missing}: skipped")
    sys.exit(77)
import torch_nets

TOOL, CONVOY = sys.argv.pop(1), sys.argv.pop(1)
STEPS, BATCH, MICROBATCH, CLASSES, SIDE = 20, 32, 8, 10, 28
MEAN, STD, LR, SMOOTHING = 0.286, 0.353, 0.01, 0.1


def run(*arguments, data=b""):
    return subprocess.run([TOOL, *map(str, arguments)], input=data, check=True,
                          capture_output=True).stdout


def mixings(n, seed, mixup, cutmix, height, width):
    """Of each microbatch: whether it is cut, the share, and the box."""
    raw = np.frombuffer(run("mixings", n, seed, mixup, cutmix, height, width), "<i4")
    raw = raw.reshape(n, 6)
    return raw[:, 0] == 1, raw[:, 1].copy().view("<f4"), raw[:, 2:]


def mixed(images, cuts, share, box):
    """torchvision's RandomMixup and RandomCutmix of a batch, share and box given."""
    rolled = images.roll(1, 0)
    if not cuts:
        return rolled.mul_(1.0 - share).add_(images.mul(share))
    top, left, height, width = box
    images = images.clone()
    part = np.s_[:, :, top:top + height, left:left + width]
    images[part] = rolled[part]
    return images


def target_of(labels, share):
    target = F.one_hot(labels, CLASSES).double()
    return target * share + target.roll(1, 0) * (1 - share)


class Draws(unittest.TestCase):
    def assert_alike(self, ours, theirs, what):
        places = np.sort(np.concatenate([ours, theirs]))
        below = [np.searchsorted(np.sort(x), places, side="right") / len(x)
                 for x in (ours, theirs)]
        limit = 2.23 * np.sqrt((len(ours) + len(theirs)) / (len(ours) * len(theirs)))
        self.assertLess(np.abs(below[0] - below[1]).max(), limit, what)

    def test_shares_have_the_beta_distribution(self):
        draw = np.random.default_rng(1)
        for alpha in (0.05, 0.2, 0.5, 1, 1.7, 8, 300):
            cuts, share, _ = mixings(8000, 3, alpha, 0, 8, 8)
            self.assertFalse(cuts.any())
            self.assert_alike(share, draw.beta(alpha, alpha, 8000).astype("f4"), alpha)

    def test_the_smallest_and_largest_alpha_give_shares(self):
        for alpha in (5e-324, 1e-12, 1e6, 1e300):
            _, share, _ = mixings(100, 3, alpha, 0, 8, 8)
            self.assertTrue(((share >= 0) & (share <= 1)).all(), alpha)
        self.assertLess(np.abs(share - 0.5).max(), 1e-3)
        self.assertEqual(set(mixings(100, 3, 1e-12, 0, 8, 8)[1]), {0.0, 1.0})

    def test_both_halve_the_microbatches(self):
        cuts, share, _ = mixings(8000, 4, 0.2, 1, 32, 32)
        self.assertLess(abs(cuts.mean() - 0.5), 4 * 0.5 / np.sqrt(8000))
        draw = np.random.default_rng(2)
        self.assert_alike(share[~cuts], draw.beta(0.2, 0.2, 4000).astype("f4"), "mixup")

    def test_boxes_are_cut_as_torchvision_cuts_them(self):
        n, height, width = 8000, 60, 100
        draw = np.random.default_rng(5)
        theirs = np.zeros((n, 5))
        for row, share in zip(theirs, draw.beta(0.7, 0.7, n)):
            x, y = draw.integers(width), draw.integers(height)
            r = 0.5 * np.sqrt(1 - share)
            half_w, half_h = int(r * width), int(r * height)
            x1, y1 = max(x - half_w, 0), max(y - half_h, 0)
            x2, y2 = min(x + half_w, width), min(y + half_h, height)
            row[:] = y1, x1, y2 - y1, x2 - x1, 1 - (x2 - x1) * (y2 - y1) / (width * height)
        cuts, share, boxes = mixings(n, 6, 0, 0.7, height, width)
        self.assertTrue(cuts.all())
        for column, what in enumerate(("top", "left", "height", "width")):
            self.assert_alike(boxes[:, column], theirs[:, column], what)
        self.assert_alike(share, theirs[:, 4].astype("f4"), "share")
        area = boxes[:, 2] * boxes[:, 3] / (height * width)
        np.testing.assert_allclose(share, 1 - area, atol=1e-7)


class Microbatches(unittest.TestCase):
    def check(self, mixup, cutmix, labels, shape=(3, 20, 24)):
        n, (channels, height, width) = len(labels), shape
        draw = np.random.default_rng(9)
        images = draw.normal(size=(n, *shape)).astype("f4")
        labels = np.array(labels, "<i4")
        for which in range(12):
            data = run("mix", n, mixup, cutmix, channels, height, width, which,
                       data=images.tobytes() + labels.tobytes())
            values, rest = data[:images.nbytes], data[images.nbytes:]
            first, second = np.frombuffer(rest, "<i4")[:2 * n].reshape(2, n)
            share = np.frombuffer(rest, "<f4")[2 * n:]
            wanted, target = self.wanted(mixup, cutmix, images, labels, which)
            found = np.frombuffer(values, "<f4").reshape(images.shape)
            np.testing.assert_array_equal(found, wanted)
            ours = np.zeros((n, CLASSES))
            for i in np.flatnonzero(labels >= 0):
                ours[i, first[i]] += share[i]
                ours[i, second[i]] += 1 - share[i]
            np.testing.assert_allclose(ours, target, atol=1e-7)
            self.assertTrue((share >= 0.5).all())
            np.testing.assert_array_equal(first < 0, labels < 0)

    def wanted(self, mixup, cutmix, images, labels, which):
        """As the tool draws them: seed 11, epoch 2."""
        n, _, height, width = images.shape
        probe = np.zeros((2, 1, height, width), "f4")
        probe[0] = 1
        data = run("mix", 2, mixup, cutmix, 1, height, width, which,
                   data=probe.tobytes() + struct.pack("<2i", 0, 1))
        own = np.frombuffer(data, "<f4")[:height * width].reshape(height, width)
        share = np.frombuffer(data, "<f4")[-2]
        if np.frombuffer(data, "<i4")[2 * height * width] != 0:
            share = 1 - share
        cuts = cutmix > 0 and set(np.unique(own)) <= {0, 1} and (own == 1).any()
        rows, columns = np.nonzero(own == 0) if cuts else ([], [])
        box = (0, 0, 0, 0)
        if len(rows):
            box = (rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1)
        share = share if cuts else own[0, 0]
        made = mixed(torch.tensor(images), cuts, float(share), box).numpy()
        alone = (labels < 0) | (np.roll(labels, 1) < 0)
        made[alone] = images[alone]
        one_hot = np.eye(CLASSES)[labels] * (labels >= 0)[:, None]
        target = one_hot * share + np.roll(one_hot, 1, 0) * (1 - share)
        target[alone] = one_hot[alone]
        return made, target

    def test_mixup(self):
        self.check(0.8, 0, [3, 1, 4, 1, 5, 9, 2, 6])
        self.check(0.2, 0, [3, 7], shape=(1, 40, 60))

    def test_cutmix(self):
        self.check(0, 1, [3, 1, 4, 1, 5, 9, 2, 6])

    def test_damaged_samples_neither_give_nor_take(self):
        for labels in ([-1, 1, 4, 2], [3, 1, -1, 2], [3, 1, 4, -1], [-1, -1, 4, 2],
                       [-1, -1]):
            self.check(0.8, 0, labels)
            self.check(0, 0.8, labels)


class Training(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        draw = np.random.default_rng(1)
        self.labels = draw.integers(0, CLASSES, STEPS * BATCH).astype("u1")
        self.images = draw.integers(0, 120, (len(self.labels), SIDE, SIDE)).astype("u1")
        for image, label in zip(self.images, self.labels):
            row, column = divmod(int(label), 4)
            image[row * 8:row * 8 + 7, column * 7:column * 7 + 7] += 100
        path = self.folder / "train-images-idx3-ubyte.gz"
        with gzip.open(path, "wb") as file:
            file.write(struct.pack(">IIII", 0x803, *self.images.shape)
                       + self.images.tobytes())
        with gzip.open(self.folder / "train-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">II", 0x801, len(self.labels))
                       + self.labels.tobytes())
        self.pack = self.folder / "train.h5"
        self.convoy("pack", path, "-o", self.pack, "--quiet")

    def convoy(self, *arguments):
        subprocess.run([CONVOY, *map(str, arguments)], check=True, timeout=300,
                       env={**os.environ, "OMP_NUM_THREADS": "1"})

    def ours(self):
        recipe, out = self.folder / "r.yaml", self.folder / "out"
        recipe.write_text(f"""
model: {{name: lenet}}
data: {{train: {self.pack}, shuffle: false, mean: [{MEAN}], std: [{STD}],
       augment: {{mixup: 0.4, cutmix: 1.0}}}}
batch: {{size: {BATCH}, microbatch: {MICROBATCH}}}
optimizer: {{momentum: 0.9, weight_decay: 1.0e-3}}
schedule: {{epochs: 1, lr: {LR}, decay: constant}}
loss: {{label_smoothing: {SMOOTHING}}}
metrics: {{every_steps: 1}}
seed: 7
""")
        train = ["train", recipe, "--out", out, "--quiet", "--stop-after-steps"]
        self.convoy(*train, 0)
        with h5py.File(out / "checkpoints" / "step-00000000.h5") as file:
            weights = {k: torch.tensor(v[()]) for k, v in file["params"].items()}
        self.convoy(*train, STEPS)
        lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        lines = [line for line in lines if line["event"] == "step"]
        return weights, [line["loss"] for line in lines], [line["top1"] for line in lines]

    def theirs(self, weights):
        net = torch_nets.LeNet(CLASSES)
        net.load_state_dict(weights)
        net = net.double()
        optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9,
                                    weight_decay=1e-3)
        x = (torch.tensor(self.images).float() / 255 - MEAN) / STD
        x = x.unsqueeze(1)
        y = torch.tensor(self.labels).long()
        drawn = list(zip(*mixings(STEPS * BATCH // MICROBATCH, 7, 0.4, 1.0, SIDE, SIDE)))
        self.assertTrue(0 < sum(bool(cuts) for cuts, _, _ in drawn) < len(drawn))
        losses, right = [], []
        for step in range(STEPS):
            optimizer.zero_grad()
            total = hits = 0
            for j in range(BATCH // MICROBATCH):
                which = step * (BATCH // MICROBATCH) + j
                part = slice(which * MICROBATCH, (which + 1) * MICROBATCH)
                cuts, share, box = drawn[which]
                logits = net(mixed(x[part], cuts, float(share), box).double())
                target = target_of(y[part], float(share))
                loss = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
                loss = loss * MICROBATCH / BATCH
                loss.backward()
                total += loss.item()
                heavy = y[part] if share >= 0.5 else y[part].roll(1, 0)
                hits += (logits.argmax(1) == heavy).sum().item()
            optimizer.step()
            losses.append(total)
            right.append(hits / BATCH)
        return losses, right

    def test_20_steps_of_lenet(self):
        weights, ours, top1 = self.ours()
        theirs, right = self.theirs(weights)
        self.assertEqual(len(ours), STEPS)
        off = np.abs(np.array(ours) / theirs - 1).max()
        print(f"loss {theirs[0]:.5f} -> {theirs[-1]:.5f}, off by {off:.1e} at most")
        self.assertLess(off, 1e-5)
        np.testing.assert_allclose(top1, right, atol=1e-6)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
