"""The cases of test_models_torchvision.py: one line a model, its size and what it holds."""
import dataclasses
from typing import Callable

import torch_nets
from torch_nets import from_zoo


@dataclasses.dataclass
class Case:
    make: Callable  # classes -> the net in PyTorch
    model: str      # convoy's name
    shape: tuple
    n: int
    network: str = ""  # the entries of a recipe's, in place of a model by name
    variant: str = ""
    pre_activation: bool = False
    blur_pool: bool = False
    freeze: str = ""
    classes: int = 10
    steps: int = 5
    lr: float = 2e-4
    nesterov: bool = False
    weight_decay: float = 1e-2
    smoothing: float = 0.0
    means: tuple = (2, 3)  # of what ReLUs get, in units of its deviation; see randomise
    clear: bool = True     # no value of the first batch that rounding decides
    clear_from: int = 0    # the first draw of batches that is worth a look for that
    close: int = 0         # as many such values are borne
    ordinary: bool = False  # PyTorch's own initial weights, judged as ORDINARY says
    bounds: dict = dataclasses.field(default_factory=dict)  # kind -> other than LIMITS


def full(model, make, n, **others):
    """One pass at the size and with the classes that the model was made for."""
    return Case(make, model, (3, 224, 224), n, classes=1000, steps=1, means=(3, 4),
                clear=False, **others)


def ordinary(make, model, n=8, side=64):
    return Case(make, model, (3, side, side), n, steps=1, clear=False, ordinary=True)


TIGHT = {"eval_logits": 1e-5, "logits": 1e-5, "losses": 1e-5, "grads": 1e-5}

CASES = {
    "resnet20": Case(lambda classes: torch_nets.ResNet20(classes, 3), "resnet20",
                     (3, 32, 32), 8, nesterov=True, smoothing=0.1),
    "mlp": Case(torch_nets.MLP, "mlp", (1, 28, 28), 8, lr=1e-5, weight_decay=0.1,
                bounds=TIGHT),
    "lenet": Case(torch_nets.LeNet, "lenet", (1, 28, 28), 8, lr=1e-5, weight_decay=0.1,
                  bounds=TIGHT),
    "alexnet": Case(from_zoo("alexnet"), "alexnet", (3, 63, 79), 4, lr=1e-5,
                    weight_decay=0.1, bounds=TIGHT),
    "alexnet_127": Case(from_zoo("alexnet"), "alexnet", (3, 127, 142), 2, lr=1e-5,
                        weight_decay=0.1, clear_from=7, bounds=TIGHT),
    "alexnet2012": Case(torch_nets.AlexNet2012, "alexnet2012", (3, 99, 83), 4, lr=1e-6,
                        weight_decay=0.1, means=(1.5, 2), clear_from=1),
    "vgg11": Case(from_zoo("vgg11"), "vgg11", (3, 32, 32), 4, lr=2e-7, weight_decay=0.1,
                  means=(1.5, 2), clear_from=29),
    "vgg11_bn": Case(from_zoo("vgg11_bn"), "vgg11_bn", (3, 32, 32), 4, lr=2e-7,
                     weight_decay=0.1, means=(1.5, 2), clear_from=7),
    "vgg16_bn": Case(from_zoo("vgg16_bn"), "vgg16_bn", (3, 35, 64), 2, lr=2e-7,
                     weight_decay=0.1, means=(1.5, 2), clear_from=2, close=1),
    "locally_connected": Case(torch_nets.LocalNet, "network", (3, 14, 11), 8,
                              network=torch_nets.LOCAL_NET, lr=1e-5, weight_decay=0.1,
                              smoothing=0.1, bounds=TIGHT),
    "resnet18": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 8, nesterov=True,
                     clear_from=1),
    "resnet18_frozen": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 8,
                            freeze="layer", clear_from=1),
    "resnet18_pre_activation": Case(torch_nets.PreActivationResNet18, "resnet18",
                                    (3, 64, 64), 8, pre_activation=True, clear_from=2),
    "resnet18_blur": Case(torch_nets.blurred(from_zoo("resnet18")), "resnet18", (3, 64, 64), 8,
                          blur_pool=True, clear_from=1),
    "resnet50_blur": Case(torch_nets.blurred(from_zoo("resnet50")), "resnet50", (3, 65, 64), 8,
                          lr=5e-5, blur_pool=True, clear_from=3),
    "plain18": Case(torch_nets.plain18, "plain18", (3, 64, 64), 8, means=(1.5, 2),
                    clear_from=1),
    "resnet50": Case(from_zoo("resnet50"), "resnet50", (3, 64, 64), 8, lr=5e-5,
                     clear_from=1),
    "resnet50_v1": Case(torch_nets.resnet50_v1, "resnet50", (3, 65, 64), 8, lr=5e-5,
                        variant="v1", clear_from=2),
    "densenet121": Case(from_zoo("densenet121"), "densenet121", (3, 64, 64), 8),
    "densenet121_frozen": Case(from_zoo("densenet121"), "densenet121", (3, 64, 64), 8,
                               freeze="features.denseblock2."),
    "resnet18_20_steps": Case(from_zoo("resnet18"), "resnet18", (3, 64, 64), 16, steps=20,
                              lr=1e-4),
    "alexnet_ordinary": ordinary(from_zoo("alexnet"), "alexnet", 4, 79),
    "vgg11_bn_ordinary": ordinary(from_zoo("vgg11_bn"), "vgg11_bn", 4, 32),
    "resnet50_ordinary": ordinary(from_zoo("resnet50"), "resnet50"),
    "plain18_ordinary": ordinary(torch_nets.plain18, "plain18"),
    "densenet121_ordinary": ordinary(from_zoo("densenet121"), "densenet121"),
    "alexnet_full": full("alexnet", from_zoo("alexnet"), 2),
    "plain18_full": full("plain18", torch_nets.plain18, 2, ordinary=True),
    "resnet18_full": full("resnet18", from_zoo("resnet18"), 2),
    "alexnet2012_full": full("alexnet2012", torch_nets.AlexNet2012, 2),
    "vgg11_bn_full": full("vgg11_bn", from_zoo("vgg11_bn"), 2, ordinary=True),
    "vgg16_full": full("vgg16", from_zoo("vgg16"), 2),
    "resnet50_full": full("resnet50", from_zoo("resnet50"), 2),
    "densenet121_full": full("densenet121", from_zoo("densenet121"), 2),
}
