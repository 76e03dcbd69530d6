"""What convoy show finds in a net, against PyTorch's autograd on the same weights and the
same prepared image: maps, Grad-CAM, saliency, occlusion, to 1e-4 of the largest value.

    test_show_torch.py CONVOY NET...
"""
import dataclasses
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    import torch
    from PIL import Image
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torchvision python3-h5py")
    sys.exit(77)
import torch_nets

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)  # before an installed module of this name
import safetensors  # noqa: E402

CONVOY, NETS = sys.argv[1], sys.argv[2:]
CLASSES, TOLERANCE = 10, 1e-4


def densenet121(classes):
    """torchvision's, with its last ReLU, which is a function there, as a module."""
    net = torch_nets.from_zoo("densenet121")(classes)
    net.last = torch.nn.ReLU()
    net.forward = lambda x: net.classifier(net.last(net.features(x)).mean((2, 3)))
    return net


@dataclasses.dataclass
class Net:
    make: object        # (classes) -> module
    options: tuple      # of convoy weights import
    maps: tuple         # layers for Grad-CAM: ours (None: as chosen) and the module's
    first: str = "conv1"
    channels: int = 3
    crop: int = 80


KINDS = {
    "lenet": Net(torch_nets.LeNet, ("--model", "lenet"),
                 (("conv1", "conv1"), ("conv2", "conv2")), channels=1, crop=28),
    "resnet18": Net(torch_nets.from_zoo("resnet18"), ("--model", "resnet18"),
                    ((None, "layer4"), ("layer2.1.relu2", "layer2"))),
    "resnet18_pre_activation_blur": Net(
        torch_nets.blurred(torch_nets.PreActivationResNet18),
        ("--model", "resnet18", "--set", "model.pre_activation=true",
         "--set", "model.blur_pool=true"), (("bn2", "bn2"), ("layer2.1.add", "layer2"))),
    "densenet121": Net(densenet121, ("--model", "densenet121"),
                       ((None, "last"),
                        ("features.transition1.pool", "features.transition1")),
                       "features.conv0"),
    # A smaller crop leaves one pixel of its last maps.
    "alexnet": Net(torch_nets.from_zoo("alexnet"), ("--model", "alexnet"),
                   ((None, "avgpool"), ("features.5", "features.5")),
                   "features.0", crop=128),
}


class Show(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def convoy(self, *arguments):
        done = subprocess.run([CONVOY, *map(str, arguments)], capture_output=True,
                              text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)

    def show(self, what, *options):
        """The values behind the pictures, by name."""
        path, found = self.path(f"{what}.h5"), {}
        self.convoy("show", what, self.image, "--weights", self.weights, "--values", path,
                    *options)

        def take(name, item):
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        with h5py.File(path) as file:
            file.visititems(take)
        return found

    def assert_near(self, ours, theirs, what, scale=None):
        """scale: what the difference is small beside, unless it is the largest of theirs."""
        theirs = np.asarray(theirs, np.float64)
        self.assertEqual(ours.shape, theirs.shape, what)
        self.assertGreater(np.abs(theirs).max(), 0, what)
        off = np.abs(ours - theirs).max() / (scale or np.abs(theirs).max())
        print(f"{self.name} {what}: {off:.1e}")
        self.assertLessEqual(off, TOLERANCE, what)

    def make_net(self):
        kind, size = self.kind, self.kind.crop + 20
        draw = np.random.default_rng(4)
        coarse = draw.integers(0, 256, (6, 6, kind.channels), np.uint8).squeeze()
        self.image = self.path("image.png")
        Image.fromarray(coarse).resize((size, size), Image.BICUBIC).save(self.image)
        torch.manual_seed(2)
        net = kind.make(CLASSES)
        torch_nets.randomise(net, torch.randn(4, kind.channels, kind.crop, kind.crop))
        for module in net.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False  # hooks shall see what a layer has made
        raw, self.weights = self.path("in.safetensors"), self.path("weights.h5")
        safetensors.save(raw, {k: v.numpy() for k, v in net.state_dict().items()})
        self.convoy("weights", "import", raw, "-o", self.weights, *kind.options,
                    "--crop", kind.crop)
        return net.eval()

    def gradients(self, net, module, image, c):
        """Of the logit of class c, the gradients of the input and of what a module makes, and
        that itself."""
        kept = []

        def keep(module, arguments, output):
            output.retain_grad()
            kept.append(output)

        handle = dict(net.named_modules())[module].register_forward_hook(keep)
        images = torch.tensor(image[None], requires_grad=True)
        net(images)[0, c].backward()
        handle.remove()
        maps, = kept
        return (images.grad[0].numpy(), maps.detach()[0].numpy(), maps.grad[0].numpy())

    def check_cam(self, net, layer, module, c):
        found = self.show("cam", "--class", c, *(("--layer", layer) if layer else ()))
        gradient, maps, of_maps = self.gradients(net, module, found["input"], c)
        alpha = of_maps.mean((1, 2))
        expected = np.maximum((alpha[:, None, None] * maps).sum(0), 0)
        self.assert_near(found["alpha"], alpha, f"alpha of {module}, class {c}")
        if expected.max() > 0:
            self.assert_near(found["cam"], expected, f"cam of {module}, class {c}")
        else:
            self.assertEqual(found["cam"].max(), 0)
        return gradient, expected.max() > 0

    def check_gradients(self, net):
        """Grad-CAM of classes until one has what speaks for it, and the last one's
        saliency."""
        for layer, module in self.kind.maps:
            for c in range(CLASSES):
                gradient, is_seen = self.check_cam(net, layer, module, c)
                if is_seen:
                    break
            self.assertTrue(is_seen, module)
        saliency = self.show("saliency", "--class", c)
        self.assert_near(saliency["gradient"], gradient, f"gradient of class {c}")
        self.assert_near(saliency["saliency"], np.abs(gradient).max(0),
                         f"saliency of class {c}")

    def check_maps(self, net):
        name = self.kind.first
        found = self.show("activations", "--layer", name)
        module = dict(net.named_modules())[name]
        with torch.no_grad():
            images = torch.tensor(found["input"][None])
            self.assert_near(found[f"activations/{name}"], module(images)[0].numpy(), name)
            self.assert_near(found["logits"], net(images)[0].numpy(), "logits")
        kernels = self.path("kernels.h5")
        self.convoy("show", "kernels", "--layer", name, "--weights", self.weights,
                    "--values", kernels)
        with h5py.File(kernels) as file:
            self.assertTrue(np.array_equal(file[f"kernels/{name}"][()],
                                           module.weight.detach().numpy()))

    def check_occlusion(self, net):
        """Of the second class: the first one's probability may be 1 whatever is hidden. Its
        logarithm is a difference of logits, and is judged beside them."""
        side = self.kind.crop
        window, stride = side // 3, side // 3 - 1
        plain = self.show("occlusion", "--window", side, "--stride", side)
        c = int(plain["logits"].argsort()[-2])
        found = self.show("occlusion", "--window", window, "--stride", stride, "--class", c)
        image = torch.tensor(found["input"])
        places = [min(i, side - window) for i in range(0, side - window + stride, stride)]
        images = image.repeat(len(places) ** 2, 1, 1, 1)
        for i, (y, x) in enumerate((y, x) for y in places for x in places):
            images[i, :, y:y + window, x:x + window] = 0
        with torch.no_grad():
            expected = net(images).double().log_softmax(1)[:, c]
        self.assert_near(np.log(found["probability"]),
                         expected.reshape(len(places), -1).numpy(), f"occlusion of class {c}",
                         np.abs(found["logits"]).max())

    def test_pictures_are_of_what_pytorch_computes(self):
        for self.name in NETS:
            with self.subTest(self.name):
                self.kind = KINDS[self.name]
                net = self.make_net()
                self.check_gradients(net)
                self.check_maps(net)
                self.check_occlusion(net)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
