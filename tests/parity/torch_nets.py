"""The nets of convoy's zoo in PyTorch, for comparison: torchvision's own where it has one,
else written here from the papers, with the parameter names that convoy uses. And random
weights for them."""
import functools

import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import models
from torchvision.models import resnet


# Debian 13's PyTorch computes with the oneDNN 3.7 whose copies into padded layouts lose
# values on some machines (src/onednn/reorder.c): then it is the one that is wrong.
if "MKL-DNN v3.7" in torch.__config__.show():
    torch.backends.mkldnn.enabled = False


class CifarBlock(nn.Module):
    """He et al. 2015, section 4.2, with option A shortcuts."""

    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.more = stride, channels - before

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        short = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(short, (0, 0, 0, 0, 0, self.more)))


class ResNet20(nn.Module):
    def __init__(self, classes, channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        before = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for i in range(3):
                stride = 2 if stage > 1 and i == 0 else 1
                blocks.append(CifarBlock(before, width, stride))
                before = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class MLP(nn.Module):
    """For images of 28 x 28."""

    def __init__(self, classes):
        super().__init__()
        self.fc1 = nn.Linear(784, 3333)
        self.fc2 = nn.Linear(3333, 3333)
        self.fc3 = nn.Linear(3333, 3333)
        self.fc4 = nn.Linear(3333, classes)

    def forward(self, x):
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc4(F.relu(self.fc3(F.relu(self.fc2(x)))))


class LeNet(nn.Module):
    """For images of 28 x 28."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2, 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2, 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class LocallyConnected(nn.Module):
    """A convolution with a kernel for each place of the output: columns by unfold, and one
    product of matrices a place. Weight [out, in / groups, kh, kw, places], bias [out,
    places], as convoy's."""

    def __init__(self, shape, out, kernel, stride=1, pad=0, dilation=1, groups=1, bias=True):
        super().__init__()
        self.window = dict(kernel_size=kernel, dilation=dilation, padding=pad, stride=stride)
        self.groups = groups
        self.size = [(side + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1
                     for side in shape[1:]]
        places = self.size[0] * self.size[1]
        self.weight = nn.Parameter(
            torch.empty(out, shape[0] // groups, kernel, kernel, places))
        self.bias = nn.Parameter(torch.empty(out, places)) if bias else None

    def forward(self, x):
        n, groups, places = len(x), self.groups, self.weight.shape[-1]
        columns = F.unfold(x, **self.window).reshape(n, groups, -1, places)
        weight = self.weight.reshape(groups, -1, columns.shape[2], places)
        y = torch.einsum("ngkp,gokp->ngop", columns, weight).reshape(n, -1, places)
        if self.bias is not None:
            y = y + self.bias
        return y.reshape(n, -1, *self.size)


class LocalNet(nn.Module):
    """LOCAL_NET in PyTorch, for images [3, 14, 11]."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1)
        self.local1 = LocallyConnected((8, 14, 11), 12, 3, stride=2, pad=1, groups=2, bias=False)
        self.local2 = LocallyConnected((12, 7, 6), 6, 3, dilation=2, pad=1)
        self.fc = nn.Linear(6 * 5 * 4, classes)

    def forward(self, x):
        x = self.local1(F.relu(self.conv1(x)))
        return self.fc(F.relu(self.local2(x)).flatten(1))


LOCAL_NET = """\
  - {conv: {out: 8, kernel: 3, pad: 1}, as: conv1}
  - relu
  - {locally_connected: {out: 12, kernel: 3, stride: 2, pad: 1, groups: 2, bias: false}, as: local1}
  - {locally_connected: {out: 6, kernel: 3, dilation: 2, pad: 1}, as: local2}
  - relu
  - flatten
  - {inner_product: {out: classes}, as: fc}
"""


def resnet50_v1(classes):
    """The paper's bottleneck: the stride in the first 1 x 1 convolution."""
    net = resnet.resnet50(weights=None, num_classes=classes)
    for module in net.modules():
        if isinstance(module, resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)
    return net


class PlainBlock(resnet.BasicBlock):
    """Two convolutions, and no way around them."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.downsample = None

    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


def plain18(classes):
    return resnet.ResNet(PlainBlock, [2, 2, 2, 2], num_classes=classes)


def blur(x):
    """Zhang 2019: [1 2 1] x [1 2 1] / 16 over each channel, zeros around."""
    line = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(line, line).div(16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def blurred(make_net):
    """A net with a blur before each strided convolution of 16 input channels or more:
    ffcv-imagenet's BlurPoolConv2d, without its names."""
    def make(classes):
        net = make_net(classes)
        for module in net.modules():
            if (isinstance(module, nn.Conv2d) and max(module.stride) > 1
                    and module.in_channels >= 16):
                module.register_forward_pre_hook(lambda _, x: (blur(x[0]),))
        return net
    return make


class PreActivationBlock(nn.Module):
    """He et al. 2016, "Identity mappings in deep residual networks", figure 4 (e). first: the
    stem has already normed and rectified (its appendix)."""

    def __init__(self, before, channels, stride, first):
        super().__init__()
        self.bn1 = nn.Identity() if first else nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.downsample = None
        if before != channels:
            convolution = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution)

    def forward(self, x):
        y = F.relu(self.bn1(x))
        short = self.downsample(y) if self.downsample else x
        return short + self.conv2(F.relu(self.bn2(self.conv1(y))))


class PreActivationResNet18(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, width in enumerate((64, 128, 256, 512), 1):
            setattr(self, f"layer{stage}", nn.Sequential(
                PreActivationBlock(before, width, 1 if stage == 1 else 2, stage == 1),
                PreActivationBlock(width, width, 1, False)))
            before = width
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.relu(self.bn2(x)).mean((2, 3)))


def response_norm(x, n=5, k=2.0, alpha=1e-4, beta=0.75):
    """Krizhevsky et al. 2012, section 3.3, as printed there: alpha times the plain sum."""
    squares = F.pad(x * x, (0, 0, 0, 0, n // 2, n // 2))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(n))
    return x / (k + alpha * total) ** beta


class AlexNet2012(nn.Module):
    """Krizhevsky et al. 2012: two groups, response norm, pooling windows that overlap."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4, 2)
        self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=2)
        self.fc6 = nn.Linear(256 * 36, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, x):
        x = F.max_pool2d(response_norm(F.relu(self.conv1(x))), 3, 2)
        x = F.max_pool2d(response_norm(F.relu(self.conv2(x))), 3, 2)
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = F.max_pool2d(F.relu(self.conv5(x)), 3, 2)
        x = F.adaptive_avg_pool2d(x, 6).flatten(1)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x)))))


def from_zoo(name):
    """torchvision's net of this name, which convoy calls the same."""
    return lambda classes: models.__dict__[name](weights=None, num_classes=classes)


def fit(module, inputs, output, means):
    """A forward hook of a layer with a bias: makes its channels' deviations 1 and draws their
    means, and near them those of places that have their own."""
    others = [d for d in range(output.dim()) if d != 1]
    size = getattr(module, "size", [1] * (output.dim() - 2))
    std, mean = torch.std_mean(output - module.bias.data.reshape([1, -1, *size]), others)
    scale = 1 / std.mean()
    module.weight.data *= scale
    bias = torch.empty_like(std).uniform_(*means) - mean * scale
    if isinstance(module, LocallyConnected):
        bias = bias[:, None] + torch.empty_like(module.bias).uniform_(-0.2, 0.2)
    module.bias.data = bias
    return module.forward(*inputs)


def randomise(net, images, means=(2, 3)):
    """Weights that keep signals alive at any depth, no ones and zeros behind which a mistake
    could hide, and few values near 0, where rounding decides what a ReLU lets through."""
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = []
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, LocallyConnected)):
            if isinstance(module, LocallyConnected):
                nn.init.normal_(module.weight, std=(2 / module.weight[0, ..., 0].numel()) ** 0.5)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                hooks.append(module.register_forward_hook(
                    functools.partial(fit, means=means)))
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1)
        nn.init.uniform_(norm.bias, *means)
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(images)
        for norm in norms:
            norm.momentum = 0.1
            std = norm.running_var.sqrt()
            norm.running_mean += std * torch.empty_like(std).uniform_(-0.2, 0.2)
            norm.running_var *= torch.empty_like(std).uniform_(0.8, 1.2)
    for hook in hooks:
        hook.remove()
