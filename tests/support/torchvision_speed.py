"""torchvision_speed.py FILE...: images a second of CPU time that torchvision makes training
samples of image files with, on one thread, with random resized crop and flip, and with
every augmentation: for comparison with `convoy bench loader PACK [--augment]`.

Pillow decodes; batches of 32 are mixed as torchvision's references mix them. What a
DataLoader costs besides is left out. Files are used again and again to make 1024 images a
round; the two take turns, and the median of 5 rounds counts."""
import statistics
import sys
import time

import torch
from PIL import Image
from torchvision import transforms

FILES = sys.argv[1:]
BATCH, N, ROUNDS, CLASSES = 32, 1024, 5, 1000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CROP = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
TENSOR = [transforms.PILToTensor(), transforms.ConvertImageDtype(torch.float),
          transforms.Normalize(MEAN, STD)]
PLAIN = transforms.Compose(CROP + TENSOR)
FULL = transforms.Compose(CROP + [transforms.TrivialAugmentWide(),
                                  transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)]
                          + TENSOR + [transforms.RandomErasing(0.1)])


def mix(images, labels):
    """RandomMixup(0.2) or RandomCutmix(1.0) of torchvision's references, in place."""
    target = torch.nn.functional.one_hot(labels, CLASSES).float()
    rolled, target_rolled = images.roll(1, 0), target.roll(1, 0)
    if torch.rand(1) < 0.5:
        share = float(torch._sample_dirichlet(torch.tensor([0.2, 0.2]))[0])
        images.mul_(share).add_(rolled.mul_(1 - share))
    else:
        share = float(torch._sample_dirichlet(torch.tensor([1.0, 1.0]))[0])
        height, width = images.shape[-2:]
        x, y = int(torch.randint(width, ())), int(torch.randint(height, ()))
        r = 0.5 * (1 - share) ** 0.5
        half_w, half_h = int(r * width), int(r * height)
        x1, y1 = max(x - half_w, 0), max(y - half_h, 0)
        x2, y2 = min(x + half_w, width), min(y + half_h, height)
        images[:, :, y1:y2, x1:x2] = rolled[:, :, y1:y2, x1:x2]
        share = 1 - (x2 - x1) * (y2 - y1) / (width * height)
    target.mul_(share).add_(target_rolled.mul_(1 - share))


def speed(transform, mixes):
    start = time.process_time()
    for first in range(0, N, BATCH):
        files = [FILES[i % len(FILES)] for i in range(first, first + BATCH)]
        images = torch.stack([transform(Image.open(f).convert("RGB")) for f in files])
        if mixes:
            mix(images, torch.randint(CLASSES, (BATCH,)))
    return N / (time.process_time() - start)


def main():
    torch.set_num_threads(1)
    if not FILES:
        sys.exit(__doc__)
    rounds = [(speed(PLAIN, False), speed(FULL, True)) for _ in range(ROUNDS)]
    for name, figures in zip(("crop and flip", "every augmentation"), zip(*rounds)):
        print(f"torchvision, {name}: {statistics.median(figures):.0f} images a second")


main()
