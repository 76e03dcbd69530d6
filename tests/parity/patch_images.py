"""A data set of the tests that train: images with something to learn, a bright patch whose
place tells the class."""
import gzip
import os
import struct

import numpy as np

CLASSES = 10


def write_patch_images(folder, n):
    """IDX files of n images of 28 x 28 in folder: the images' path, images, labels."""
    random = np.random.default_rng(1)
    labels = random.integers(0, CLASSES, n).astype("u1")
    images = random.integers(0, 120, (n, 28, 28)).astype("u1")
    for image, label in zip(images, labels):
        row, column = divmod(int(label), 4)
        image[row * 8 : row * 8 + 7, column * 7 : column * 7 + 7] += 100
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "train-images-idx3-ubyte.gz")
    with gzip.open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with gzip.open(path.replace("images-idx3", "labels-idx1"), "wb") as f:
        f.write(struct.pack(">II", 0x801, n) + labels.tobytes())
    return path, images, labels
