"""Weights of a torchvision net, imported, let convoy predict what the net itself says of the
same image files; exported again, they make the same net.

    test_exchange_torchvision.py CONVOY MODEL...
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
    import torchvision.transforms as transforms
    from PIL import Image
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torchvision python3-pil")
    sys.exit(77)
import torch_nets

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)  # before an installed module of this name
import safetensors  # noqa: E402

CONVOY, MODELS = sys.argv[1], sys.argv[2:]
CLASSES, CROP = 10, 80
RESIZE = round(CROP * 256 / 224)
NAMES = [f"class {i}" for i in range(CLASSES)]
# Files whose shorter side is RESIZE already are the same for both down to the last bit. In
# others two pixels in a thousand may be a level off (test_preprocess.py).
IMAGES = {"as_it_is.png": ((RESIZE, 117), 1e-4), "tall.png": ((RESIZE, RESIZE), 1e-4),
          "large.png": ((301, 222), 1e-3), "small.jpg": ((61, 97), 1e-3)}


def write_images(folder):
    draw = np.random.default_rng(3)
    for name, ((width, height), _) in IMAGES.items():
        coarse = draw.integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((width, height), Image.BICUBIC).save(
            os.path.join(folder, name))
    return [os.path.join(folder, name) for name in IMAGES]


def prepare(paths):
    steps = transforms.Compose([
        transforms.Resize(RESIZE), transforms.CenterCrop(CROP), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return torch.stack([steps(Image.open(path).convert("RGB")) for path in paths])


class Exchange(unittest.TestCase):
    def convoy(self, *arguments):
        done = subprocess.run([CONVOY, *arguments], capture_output=True, text=True,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def log_probabilities(self, weights, paths):
        """[images, classes], from the JSON of predict."""
        text = self.convoy("predict", "--json", "--top", str(CLASSES), "--weights",
                           weights, *paths)
        out = np.empty((len(paths), CLASSES))
        for row, path, found in zip(out, paths, json.loads(text)):
            self.assertEqual(found["file"], path)
            for entry in found["top"]:
                self.assertEqual(entry["class"], NAMES[entry["index"]])
                row[entry["index"]] = np.log(entry["probability"])
        return out

    def check_logits(self, net, weights, paths, images):
        """Logarithms of probabilities are the logits but for a constant of each image."""
        with torch.no_grad():
            theirs = net.eval()(images).double().log_softmax(1).numpy()
        ours = self.log_probabilities(weights, paths)
        for name, a, b in zip(IMAGES, ours, theirs):
            off = np.abs(a - b).max() / np.abs(b - b.mean()).max()
            print(f"{self.model} {name}: {off:.1e}")
            self.assertLessEqual(off, IMAGES[name][1], name)

    def check(self, folder):
        path = {name: os.path.join(folder, name)
                for name in ("in.safetensors", "out.safetensors", "weights.h5", "names")}
        with open(path["names"], "w") as file:
            file.write("\n".join(NAMES) + "\n")
        paths = write_images(folder)
        images = prepare(paths)
        torch.manual_seed(1)
        make = getattr(torch_nets, self.model, None) or torch_nets.from_zoo(self.model)
        net = make(CLASSES)
        torch_nets.randomise(net, images)
        safetensors.save(path["in.safetensors"],
                         {name: value.numpy() for name, value in net.state_dict().items()})
        self.convoy("weights", "import", path["in.safetensors"], "-o", path["weights.h5"],
                    "--model", self.model.lower(), "--crop", str(CROP), "--class-names",
                    path["names"])
        self.check_logits(net, path["weights.h5"], paths, images)
        self.convoy("weights", "export", path["weights.h5"], "-o", path["out.safetensors"])
        again = make(CLASSES)
        again.load_state_dict({name: torch.tensor(value) for name, value
                               in safetensors.load(path["out.safetensors"]).items()})
        with torch.no_grad():
            self.assertTrue(torch.equal(again.eval()(images), net(images)))

    def test_both_say_the_same_of_the_same_files(self):
        for self.model in MODELS:
            with self.subTest(self.model), tempfile.TemporaryDirectory() as folder:
                self.check(folder)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
