"""test_schedules_torch.py SCHEDULE_TOOL: each schedule step by step against PyTorch's
scheduler, or, where PyTorch has none, against the published formula in NumPy."""
import subprocess
import sys
import unittest

try:
    import numpy as np
    import torch
    from torch.optim import lr_scheduler
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torch")
    sys.exit(77)

TOOL = sys.argv.pop(1)
CONSTANT, STEP, COSINE, POLYNOMIAL, LINEAR, ONE_CYCLE = range(6)
N = 70  # 10 epochs of 7 steps


def ours(decay, **keys):
    """[N + 2, 2]: learning rate and momentum of each step, and of two beyond the end."""
    given = {"epochs": 10, "steps_per_epoch": 7, **keys}
    pairs = [(key, v) for key, value in given.items() for v in np.atleast_1d(value)]
    out = subprocess.run([TOOL, str(decay), *(str(x) for pair in pairs for x in pair)],
                         check=True, capture_output=True, text=True).stdout
    return np.array([line.split() for line in out.splitlines()], float)


def by_torch(make, lr, momentum=0.9):
    """[N, 2]: the same of PyTorch's SGD under a scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr, momentum)
    scheduler = make(optimizer)
    rows = []
    for step in range(N):
        group = optimizer.param_groups[0]
        rows.append((group["lr"], group["momentum"]))
        optimizer.step()
        if step + 1 < N:
            scheduler.step()
    return np.array(rows)


class Schedules(unittest.TestCase):
    def assert_same(self, a, b, most=1e-12):
        self.assertEqual(a.shape, b.shape)
        self.assertLess(np.abs(a - b).max(), most)

    def test_steps(self):
        made = ours(STEP, lr=0.5, gamma=0.3, milestone=[3, 6, 8])[:N, 0]
        theirs = by_torch(lambda o: lr_scheduler.MultiStepLR(o, [21, 42, 56], 0.3), 0.5)
        self.assert_same(made, theirs[:, 0])

    def test_cosine(self):
        made = ours(COSINE, lr=0.5, final_lr=0.02)[:N, 0]
        theirs = by_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, N, 0.02), 0.5)
        self.assert_same(made, theirs[:, 0])

    def test_linear(self):
        made = ours(LINEAR, lr=0.5, final_lr=0.05)[:N, 0]
        theirs = by_torch(lambda o: lr_scheduler.LinearLR(o, 1, 0.1, N), 0.5)
        self.assert_same(made, theirs[:, 0])

    def test_one_cycle_with_its_momentum(self):
        made = ours(ONE_CYCLE, lr=0.5, warmup_epochs=3, warmup_lr=0.5 / 25,
                    final_lr=0.5 / 25e4, base_momentum=0.85, max_momentum=0.95)
        theirs = by_torch(lambda o: lr_scheduler.OneCycleLR(o, 0.5, N, pct_start=0.3), 0.5)
        self.assert_same(made[:N], theirs)
        self.assert_same(made[N:], np.tile(theirs[-1:], (2, 1)))

    def test_one_cycle_that_leaves_the_momentum_alone(self):
        made = ours(ONE_CYCLE, lr=0.5, warmup_epochs=5, warmup_lr=0.1, final_lr=0.001)
        theirs = by_torch(lambda o: lr_scheduler.OneCycleLR(
            o, 0.5, N, pct_start=0.5, div_factor=5, final_div_factor=100,
            cycle_momentum=False), 0.5)
        self.assert_same(made[:N, 0], theirs[:, 0])
        self.assertTrue((made[:, 1] < 0).all())

    def test_polynomial_as_in_mlperf_s_reference(self):
        """mlcommons/training, image_classification/tensorflow2/lars_util.py; steps from 1
        as in Intel's CPU submissions."""
        peak, end, w = 10.5, 1e-4, 14
        d = N - w + 1
        for power in (2, 1.5):
            s = np.arange(1.0, N + 1)
            theirs = np.where(s <= w, peak * s / w,
                              (peak - end) * (1 - (s - w).clip(0) / d) ** power + end)
            made = ours(POLYNOMIAL, lr=peak, final_lr=end, power=power, warmup_epochs=2)
            self.assert_same(made[:N, 0], theirs)
            self.assert_same(made[N:, 0], np.full(2, end))

    def test_linear_ramps_as_in_ffcv_s_imagenet_example(self):
        """libffcv/ffcv-imagenet, train_imagenet.py: np.interp over [0, peak 2, epochs] of
        [1e-4 lr, lr, 0]; its warmup is a step behind ours, which begins above the start."""
        t = np.arange(N) / 7
        theirs = np.interp(t, [0, 2, 10], [1.7e-4, 1.7, 0])
        made = ours(LINEAR, lr=1.7, warmup_epochs=2, warmup_lr=1.7e-4)[:N, 0]
        self.assert_same(made[14:], theirs[14:])
        self.assert_same(made[:14], theirs[1:15])

    def test_the_momentum_of_the_warmup(self):
        made = ours(CONSTANT, lr=1, warmup_epochs=2, warmup_momentum=0.5, momentum=0.9)
        self.assert_same(made[:14, 1], 0.5 + 0.4 * np.arange(1, 15) / 14)
        self.assertTrue((made[14:, 1] < 0).all())


if __name__ == "__main__":
    unittest.main()
