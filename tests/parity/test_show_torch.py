"""What convoy show finds in a net, against PyTorch's autograd on the same weights and the
same prepared image: maps, Grad-CAM, saliency, occlusion, to 1e-4 of the largest value.

    test_show_torch.py CONVOY MODEL...
"""
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

CONVOY, MODELS = sys.argv[1], sys.argv[2:]
CLASSES, TOLERANCE = 10, 1e-4
CROPS = {"alexnet": 128}  # less leaves one pixel of its last maps
# A layer of ours, and the module whose output it is.
LAYERS = {"resnet18": "conv1", "densenet121": "features.conv0", "alexnet": None}


def last_maps(net, model, images):
    """The last maps with more than one pixel, which keep their gradient, and the logits."""
    if model == "densenet121":
        maps = torch.relu(net.features(images))
        maps.retain_grad()
        return maps, net.classifier(torch.flatten(maps.mean((2, 3)), 1))
    kept = {}

    def keep(module, arguments, output):
        output.retain_grad()
        kept["maps"] = output

    handle = (net.avgpool if model == "alexnet" else net.layer4).register_forward_hook(keep)
    logits = net(images)
    handle.remove()
    return kept["maps"], logits


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

    def assert_near(self, ours, theirs, what):
        theirs = np.asarray(theirs, np.float64)
        self.assertEqual(ours.shape, theirs.shape, what)
        self.assertGreater(np.abs(theirs).max(), 0, what)
        off = np.abs(ours - theirs).max() / np.abs(theirs).max()
        print(f"{self.model} {what}: {off:.1e}")
        self.assertLessEqual(off, TOLERANCE, what)

    def make_net(self):
        crop = CROPS.get(self.model, 80)
        draw = np.random.default_rng(4)
        coarse = draw.integers(0, 256, (6, 6, 3), np.uint8)
        self.image = self.path("image.png")
        Image.fromarray(coarse).resize((crop + 20, crop + 20),
                                       Image.BICUBIC).save(self.image)
        torch.manual_seed(2)
        net = torch_nets.from_zoo(self.model)(CLASSES)
        torch_nets.randomise(net, torch.randn(4, 3, crop, crop))
        for module in net.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False  # hooks shall see what a layer has made
        raw, self.weights = self.path("in.safetensors"), self.path("weights.h5")
        safetensors.save(raw, {k: v.numpy() for k, v in net.state_dict().items()})
        self.convoy("weights", "import", raw, "-o", self.weights, "--model", self.model,
                    "--crop", crop)
        return net.eval()

    def gradients(self, net, image, c):
        """Input's gradient, last maps and their gradient, of the logit of class c."""
        images = torch.tensor(image[None], requires_grad=True)
        maps, logits = last_maps(net, self.model, images)
        logits[0, c].backward()
        return (images.grad[0].numpy(), maps.detach()[0].numpy(), maps.grad[0].numpy(),
                logits.detach()[0].numpy())

    def check_gradients(self, net):
        for options, c in (((), None), (("--class", 7), 7)):
            cam, saliency = self.show("cam", *options), self.show("saliency", *options)
            c = int(cam["logits"].argmax()) if c is None else c
            gradient, maps, of_maps, logits = self.gradients(net, cam["input"], c)
            alpha = of_maps.mean((1, 2))
            self.assert_near(cam["logits"], logits, "logits")
            self.assert_near(cam["alpha"], alpha, f"alpha {c}")
            expected = np.maximum((alpha[:, None, None] * maps).sum(0), 0)
            if expected.max() > 0:
                self.assert_near(cam["cam"], expected, f"cam {c}")
            self.assert_near(saliency["gradient"], gradient, f"gradient {c}")
            self.assert_near(saliency["saliency"], np.abs(gradient).max(0),
                             f"saliency {c}")

    def check_maps(self, net):
        name = LAYERS[self.model]
        if name is None:
            return
        found = self.show("activations", "--layer", name)
        module = dict(net.named_modules())[name]
        with torch.no_grad():
            expected = module(torch.tensor(found["input"][None]))[0].numpy()
        self.assert_near(found[f"activations/{name}"], expected, name)
        kernels = self.path("kernels.h5")
        self.convoy("show", "kernels", "--layer", name, "--weights", self.weights,
                    "--values", kernels)
        with h5py.File(kernels) as file:
            self.assertTrue(np.array_equal(file[f"kernels/{name}"][()],
                                           module.weight.detach().numpy()))

    def check_occlusion(self, net):
        window, stride = 30, 25
        found = self.show("occlusion", "--window", window, "--stride", stride)
        c = int(found["logits"].argmax())
        image = torch.tensor(found["input"])
        side = image.shape[1]
        places = [min(i, side - window) for i in range(0, side - window + stride, stride)]
        images = image.repeat(len(places) ** 2, 1, 1, 1)
        for i, (y, x) in enumerate((y, x) for y in places for x in places):
            images[i, :, y:y + window, x:x + window] = 0
        with torch.no_grad():
            expected = net(images).double().softmax(1)[:, c]
        self.assert_near(found["probability"],
                         expected.reshape(len(places), -1).numpy(), "occlusion")

    def test_pictures_are_of_what_pytorch_computes(self):
        for self.model in MODELS:
            with self.subTest(self.model):
                net = self.make_net()
                self.check_gradients(net)
                self.check_maps(net)
                self.check_occlusion(net)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
