"""A model of convoy's zoo against PyTorch, from the same weights and on the same batches.

    test_models_torchvision.py STEP_TOOL CASE...     CASE: a name of model_cases.py

Compared are the logits in evaluation and in training, each sample's loss, every
parameter's gradient, the running statistics after the first training forward, and the
weights after all steps of SGD. PyTorch runs twice, in f32 and, as judge, in f64; printed
are the differences of convoy from PyTorch, and of both from the judge. docs/parity.md
explains the table and how errors are measured.
"""
import copy
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
    import torchvision
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-torchvision python3-h5py")
    sys.exit(77)
import torch_nets
from model_cases import CASES

# A gradient's error is relative to its own norm, but at least to this part of the largest
# norm: some gradients are 0 but for rounding (a bias in front of a batch norm).
GRAD_FLOOR = 3e-5
# An update's also to this part of the parameter's norm, since f32 rounds the parameter.
UPDATE_FLOOR = 1e-4
N_BATCHES, N_DRAWS = 50, 6
# The largest error allowed; a case can have others.
LIMITS = {"eval_logits": 1e-4, "logits": 1e-4, "losses": 1e-4, "grads": 1e-3,
          "statistics": 2e-6, "after": 1e-4, "updates": 1e-2, "step_losses": 1e-4}
# With weights that are ordinary initial ones, rounding decides what some ReLUs do, and even
# PyTorch's f32 is far from its f64 then. Only the outputs in evaluation are held to a bound;
# these to so many times PyTorch's own distance from the judge, and a little more.
ORDINARY = ("logits", "losses", "grads", "statistics")
ORDINARY_TIMES, ORDINARY_MORE = 5, 1e-5


class Decisions:
    """While it is entered, watches a net in f32 (first) and then in f64 and counts the values
    whose fate in a ReLU or a max pooling rounding could decide: those nearer to the border
    than four times the layer's error. Decided otherwise, they let through another gradient,
    and no bound holds."""

    def __init__(self):
        self.rough, self.n_close = [], 0

    def error(self, x):
        """Four deviations of the layer's f32 input; None while it passes by."""
        if x.dtype == torch.float32:
            self.rough.append(x)
            return None
        return 4 * (x - self.rough.pop(0)).std()

    def relu(self, x, inplace=False):
        error = self.error(x)
        if error is not None:
            self.n_close += (x.abs() < error).sum().item()
        return self.kept[0](x)

    def max_pool2d(self, x, kernel, stride, padding=0, *others, **named):
        error = self.error(x)
        if error is not None:
            windows = F.pad(x, [padding] * 4, value=-np.inf)
            windows = windows.unfold(2, kernel, stride).unfold(3, kernel, stride)
            first, second = windows.flatten(-2).topk(2).values.unbind(-1)
            self.n_close += ((first > 0) & (first - second < error)).sum().item()
        return self.kept[1](x, kernel, stride, padding, *others, **named)

    def __enter__(self):
        self.kept = F.relu, F.max_pool2d
        F.relu, F.max_pool2d = self.relu, self.max_pool2d
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d = self.kept


def make_batches(case):
    """Noise on a smooth pattern for each class: something to learn."""
    c, h, w = case.shape
    coarse = torch.randn(case.classes, c, 4, 4)
    patterns = F.interpolate(coarse, (h, w), mode="bilinear",
                                               align_corners=False)
    labels = torch.randint(case.classes, (case.steps, case.n))
    return patterns[labels] + torch.randn(case.steps, case.n, c, h, w), labels


def clear_batches(case, net):
    """Batches of which the first leaves no decision to rounding, or as few as can be had."""
    rough = copy.deepcopy(net).train()
    judge = copy.deepcopy(net).double().train()
    fewest = np.inf
    for i in range(N_BATCHES):
        images, labels = make_batches(case)
        if i < case.clear_from:
            continue
        with Decisions() as decisions, torch.no_grad():
            rough(images[0])
            judge(images[0].double())
        if decisions.n_close < fewest:
            fewest, clearest = decisions.n_close, (images, labels)
        if fewest <= case.close:
            break
    return clearest


def state_of(net):
    """Parameters and running statistics; borrowed: the next step changes them."""
    return {name: value.detach().numpy() for name, value in net.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def copy_of(state):
    return {name: value.copy() for name, value in state.items()}


def freeze(net, prefix):
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not name.startswith(prefix))
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d) and (name + ".").startswith(prefix):
            module.eval()


def by_torch(case, net, images, labels):
    """The same names and numbers as step_tool writes."""
    images = images.to(next(net.parameters()).dtype)
    out = {"step_losses": np.zeros(case.steps)}
    net.eval()
    with torch.no_grad():
        out["eval_logits"] = net(images[0]).numpy()
    net.train()
    if case.freeze:
        freeze(net, case.freeze)
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=case.lr, momentum=0.9,
                                nesterov=case.nesterov, weight_decay=case.weight_decay)
    loss_of = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=case.smoothing)
    for step in range(case.steps):
        logits = net(images[step])
        losses = loss_of(logits, labels[step])
        losses.mean().backward()
        out["step_losses"][step] = losses.detach().double().mean()
        if step == 0:
            out["logits"] = logits.detach().numpy()
            out["losses"] = losses.detach().numpy()
            out["grads"] = {name: p.grad.numpy()
                            for name, p in net.named_parameters() if p.requires_grad}
            out["statistics"] = copy_of({name: value for name, value
                                         in state_of(net).items() if "running_" in name})
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    out["after"] = state_of(net)
    return out


def by_convoy(tool, case, weights, images, labels, precision="f32"):
    with tempfile.TemporaryDirectory(prefix="convoy-test-") as folder:
        given, made = os.path.join(folder, "in.h5"), os.path.join(folder, "out.h5")
        with h5py.File(given, "w") as file:
            for name, value in weights.items():
                file["weights/" + name] = value
            file["images"] = images.numpy()
            file["labels"] = labels.numpy().astype("i4")
            file.attrs.update(
                network=case.network, model=case.model, variant=case.variant, freeze=case.freeze,
                classes=case.classes, pre_activation=int(case.pre_activation),
                blur_pool=int(case.blur_pool),
                label_smoothing=case.smoothing, precision=precision,
                gradients_only=int(precision == "bf16"), lr=case.lr, momentum=0.9,
                nesterov=int(case.nesterov), weight_decay=case.weight_decay)
        subprocess.run([tool, given, made], check=True)
        os.remove(given)
        with h5py.File(made, "r") as file:
            return {name: {key: value[()] for key, value in item.items()}
                    if isinstance(item, h5py.Group) else item[()]
                    for name, item in file.items()}


def norm(a):
    return np.linalg.norm(a.ravel())


def largest(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def tensors(out, kind, weights):
    """name -> array; updates are how far each parameter moved: in the weights themselves
    small steps drown."""
    if kind == "updates":
        return {name: out["after"][name] - weights[name] for name in out["grads"]}
    found = out.get(kind, {})
    return found if isinstance(found, dict) else {"": found}


def compare(kind, ours, theirs, weights):
    """The largest error of the tensors of one kind, and the name of its tensor."""
    if set(ours) != set(theirs):
        raise AssertionError(f"{kind}: only one of both has {set(ours) ^ set(theirs)}")
    errors = {"": 0.0}
    floor = GRAD_FLOOR * max([0, *map(norm, theirs.values())])
    for name, value in theirs.items():
        if ours[name].shape != value.shape:
            raise AssertionError(f"{kind} {name}: {ours[name].shape}, not {value.shape}")
        if kind in ("grads", "updates"):
            least = UPDATE_FLOOR * norm(weights[name]) if kind == "updates" else floor
            errors[name] = norm(ours[name] - value) / max(norm(value), least)
        else:
            errors[name] = largest(ours[name], value)
    # A NaN is the worst there is.
    worst = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    return errors[worst], worst


def print_steps(ours, theirs, judge):
    print("  step  loss of judge, and relative: convoy-torch  convoy-judge  torch-judge")
    for step, (a, b, c) in enumerate(zip(ours, theirs, judge), 1):
        print(f"  {step:4} {c:14.6f} {abs(a - b) / b:30.1e} {abs(a - c) / c:13.1e} "
              f"{abs(b - c) / c:12.1e}")


def run(tool, case, seed):
    """The first weights; what convoy, PyTorch and the judge made of them."""
    torch.manual_seed(seed)
    net = case.make(case.classes)
    images, labels = make_batches(case)
    if not case.ordinary:
        torch_nets.randomise(net, images[0], case.means)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if case.clear:
        images, labels = clear_batches(case, net)
    weights = copy_of(state_of(net))
    judge = by_torch(case, copy.deepcopy(net).double(), images, labels)
    theirs = by_torch(case, net, images, labels)
    return weights, by_convoy(tool, case, weights, images, labels), theirs, judge


def check(tool, name, seed):
    """Prints the case's table; whether all bounds hold."""
    case = CASES[name]
    weights, *made = run(tool, case, seed)
    losses = made[-1]["step_losses"]
    print(f"{name}: {case.model} on {case.n} x {case.shape}, {case.steps} steps, loss "
          f"{losses[0]:.3g} -> {losses[-1]:.3g}\n"
          f"  {'':12} convoy-torch  (bound)  convoy-judge  torch-judge  worst tensor")
    holds = True
    bounds = {**LIMITS, **case.bounds}
    if case.ordinary:
        bounds = {"eval_logits": 1e-5, **dict.fromkeys(ORDINARY, 0)}
    for kind, limit in bounds.items():
        ours, theirs, judge = (tensors(out, kind, weights) for out in made)
        error, worst = compare(kind, ours, theirs, weights)
        from_judge = [compare(kind, of, judge, weights)[0] for of in (ours, theirs)]
        judged = case.ordinary and kind in ORDINARY
        if judged:
            limit = ORDINARY_TIMES * from_judge[1] + ORDINARY_MORE
        fine = (from_judge[0] if judged else error) <= limit
        holds = holds and fine
        print(f"  {kind:12} {error:12.1e}  ({limit:.0e}) "
              f"{from_judge[0]:13.1e} {from_judge[1]:12.1e}  "
              f"{worst}{'' if fine else '  FAILED'}")
    if case.steps > 5:
        print_steps(*(out["step_losses"] for out in made))
    return holds


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if hasattr(torchvision, "disable_beta_transforms_warning"):
        torchvision.disable_beta_transforms_warning()
    tool, *names = sys.argv[1:]
    for name in names or CASES:
        # Where rounding decided something after all, other numbers will do; a mistake shows
        # in any.
        if not any(check(tool, name, seed) for seed in range(1, 1 + N_DRAWS)):
            sys.exit(f"{name}: FAILED with {N_DRAWS} draws of weights and images")


if __name__ == "__main__":
    main()
