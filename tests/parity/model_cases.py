"""The cases of test_models_torchvision.py: one line a model, its size and what it holds."""
import dataclasses
from typing import Callable

import torchvision.models as zoo
import torch_nets


@dataclasses.dataclass
class Case:
    make: Callable  # classes -> the net in PyTorch
    model: str      # convoy's name
    shape: tuple
    n: int
    variant: str = ""
    pre_activation: bool = False
    freeze: str = ""
    classes: int = 10
    steps: int = 5
    lr: float = 2e-4
    nesterov: bool = False
    weight_decay: float = 1e-2
    smoothing: float = 0.0
    initial: bool = False  # PyTorch's own initial weights, instead of randomise
    clear: bool = True     # no value of the first batch that rounding decides
    seed: int = 1
    bounds: dict = dataclasses.field(default_factory=dict)  # kind -> other than LIMITS


def from_zoo(name):
    """torchvision's net of this name, which convoy calls the same."""
    return lambda classes: zoo.__dict__[name](weights=None, num_classes=classes)


def full(model, make, n, **others):
    """One pass at the size and with the classes that the model was made for."""
    return Case(make, model, (3, 224, 224), n, classes=1000, steps=1,
                clear=False, **others)


CASES = {
    "resnet20": Case(lambda classes: torch_nets.ResNet20(classes, 3), "resnet20",
                     (3, 32, 32), 8, nesterov=True, smoothing=0.1),
    "mlp": Case(torch_nets.MLP, "mlp", (1, 28, 28), 8, lr=1e-5),
    "lenet": Case(torch_nets.LeNet, "lenet", (1, 28, 28), 8, lr=1e-5),
    "alexnet": Case(from_zoo("alexnet"), "alexnet", (3, 63, 79), 4, lr=1e-5),
    "alexnet_127": Case(from_zoo("alexnet"), "alexnet", (3, 127, 142), 2, lr=1e-5),
    "alexnet2012": Case(torch_nets.AlexNet2012, "alexnet2012", (3, 99, 83), 4, lr=1e-5),
    "vgg11": Case(from_zoo("vgg11"), "vgg11", (3, 32, 32), 4, lr=1e-6),
    "vgg11_bn": Case(from_zoo("vgg11_bn"), "vgg11_bn", (3, 32, 32), 4, lr=1e-6),
    "vgg16_bn": Case(from_zoo("vgg16_bn"), "vgg16_bn", (3, 35, 64), 2, lr=1e-6),
    "resnet18": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 8, nesterov=True),
    "resnet18_frozen": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 8,
                            freeze="layer"),
    "resnet18_pre_activation": Case(torch_nets.PreActivationResNet18, "resnet18",
                                    (3, 64, 64), 8, pre_activation=True),
    "plain18": Case(torch_nets.plain18, "plain18", (3, 64, 64), 8),
    "resnet50": Case(from_zoo("resnet50"), "resnet50", (3, 64, 64), 8),
    "resnet50_v1": Case(torch_nets.resnet50_v1, "resnet50", (3, 65, 64), 8, variant="v1"),
    "densenet121": Case(from_zoo("densenet121"), "densenet121", (3, 64, 64), 8),
    "resnet18_20_steps": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 16, steps=20,
                              initial=True, clear=False, lr=0.002, weight_decay=1e-4),
    "alexnet_full": full("alexnet", from_zoo("alexnet"), 4),
    "alexnet2012_full": full("alexnet2012", torch_nets.AlexNet2012, 4),
    "vgg16_full": full("vgg16", from_zoo("vgg16"), 2),
    "resnet50_full": full("resnet50", from_zoo("resnet50"), 4),
    "densenet121_full": full("densenet121", from_zoo("densenet121"), 4),
}
