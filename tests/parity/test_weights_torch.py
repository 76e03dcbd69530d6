"""Weights to and from PyTorch: torchvision's random weights are imported and exported
again, and load_state_dict takes the export strictly, with every bit as it was.

    test_weights_torch.py CONVOY MODEL...

Where Debian's python3-safetensors is installed (13; 12 has none), it must read our files
and write such as we read.
"""
import copy
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
    import torchvision
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torch python3-torchvision")
    sys.exit(77)

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)  # before an installed module of this name
import safetensors  # noqa: E402

CONVOY, MODELS = sys.argv[1], sys.argv[2:]
CLASSES = 10


def random_net(model, seed):
    """Weights as torchvision draws them, and statistics that are not 0 and 1."""
    torch.manual_seed(seed)
    net = getattr(torchvision.models, model)(weights=None, num_classes=CLASSES)
    for name, value in net.state_dict().items():
        if "running" in name:
            value.copy_(torch.rand_like(value) + 0.5)
        if "num_batches" in name:
            value.fill_(seed)
    return net


class RoundTrip(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def convoy(self, *arguments):
        done = subprocess.run([CONVOY, "weights", *arguments], capture_output=True,
                              text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)

    def path(self, name):
        return os.path.join(self.folder, name)

    def take_in(self, path, model):
        """Imports the file and exports it again; the path of the export."""
        weights, export = self.path("weights.h5"), self.path("export.safetensors")
        self.convoy("import", path, "-o", weights, "--model", model)
        self.convoy("export", weights, "-o", export)
        return export

    def check(self, net, arrays):
        """A net of other weights must become net."""
        other = copy.deepcopy(net)
        for value in other.state_dict().values():
            value.fill_(2)
        other.load_state_dict({k: torch.tensor(v) for k, v in arrays.items()}, strict=True)
        for (name, ours), theirs in zip(net.state_dict().items(),
                                        other.state_dict().values()):
            if "num_batches" in name:
                self.assertEqual(theirs, 0)
                self.assertEqual(theirs.dtype, torch.int64)
            else:
                self.assertTrue(torch.equal(ours, theirs), name)

    def test_weights_come_back_bit_for_bit(self):
        for self.model in MODELS:
            with self.subTest(self.model):
                net = random_net(self.model, 1)
                path = self.path("torch.safetensors")
                safetensors.save(path, {k: v.numpy() for k, v in net.state_dict().items()})
                self.check(net, safetensors.load(self.take_in(path, self.model)))

    def test_the_formats_own_library_agrees(self):
        real = safetensors.real_module()
        if real is None:
            self.skipTest("python3-safetensors is not installed")
        self.model = MODELS[0]
        net = random_net(self.model, 1)
        path = self.path("torch.safetensors")
        real.save_file({k: v.numpy() for k, v in net.state_dict().items()}, path)
        export = self.take_in(path, self.model)
        self.check(net, real.load_file(export))
        # Same order and same padding: its own writer makes the same data of it.
        again = self.path("again.safetensors")
        real.save_file(real.load_file(export), again,
                       metadata=safetensors.header(export)["__metadata__"])
        self.assertEqual(os.path.getsize(export), os.path.getsize(again))
        self.assertEqual(safetensors.header(export), safetensors.header(again))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
