"""Run directories with times written by hand, for tests of convoy plan."""
import json

RECIPE = """model:
  name: "resnet50"
batch:
  size: {batch}
  microbatch: {microbatch}
exchange:
  algorithm: {algorithm}
  bucket: {bucket}
"""


def write_run(out, *, nodes=1, node_ranks=1, lanes=1, cores=None, batch=64, microbatch=8,
              microbatch_s=0.1, optimizer_s=0.01, parameters=1000, buckets=None,
              algorithm="auto", bucket="auto", steps_per_epoch=100, total_steps=1000,
              read_bytes=None, exchange_s=0.0):
    """A run of steady steps: microbatch_s a microbatch on each lane. buckets: pairs of bytes
    and seconds before the end of computing, for timeline.json; None: none is written."""
    out.mkdir(parents=True)
    ranks = nodes * node_ranks
    rounds = -(-(-(-batch // microbatch // ranks)) // lanes)
    compute_s = rounds * microbatch_s
    step_s = compute_s + exchange_s + optimizer_s
    lines = [{"event": "start", "step": 0, "time": 1, "nodes": nodes, "ranks": ranks,
              "lanes": lanes * ranks, "cores": cores or lanes * ranks, "threads": 1,
              "batch": batch, "microbatch": microbatch},
             {"event": "ranks", "step": 20, "steps": 15, "compute_s": compute_s,
              "compute_s_most": compute_s, "compute_s_least": compute_s,
              "exchange_s": exchange_s, "hidden_s": 0.0, "input_s": 0.0,
              "optimizer_s": optimizer_s, "busy_s": compute_s + optimizer_s,
              "busy_s_most": compute_s + optimizer_s, "slowest_rank": 0,
              "slowest_host": "a"}]
    (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (out / "run.json").write_text(json.dumps({
        "convoy": "1", "parameters": parameters, "steps_per_epoch": steps_per_epoch,
        "total_steps": total_steps, "from_step": 0}))
    (out / "recipe.yaml").write_text(RECIPE.format(
        batch=batch, microbatch=microbatch, algorithm=algorithm, bucket=bucket))
    if buckets is not None:
        rank = {"host": "a", "compute_s": compute_s, "exchange_s": exchange_s,
                "optimizer_s": optimizer_s, "busy_s": compute_s + optimizer_s}
        timeline = {
            "step": 20, "steps": 15, "batch": batch, "microbatch": microbatch,
            "algorithm": algorithm if algorithm != "auto" else
            ("two-level" if node_ranks > 1 else "direct"),
            "nodes": nodes, "step_s": step_s, "ideal_s": compute_s + optimizer_s,
            "ranks": [{"rank": i, **rank} for i in range(ranks)],
            "buckets": [{"bytes": n, "ready_s": compute_s - before_s,
                         "done_s": compute_s + exchange_s} for n, before_s in buckets]}
        if read_bytes:
            timeline["read"] = {"bytes": read_bytes, "seconds": 1.0}
        (out / "timeline.json").write_text(json.dumps(timeline))
    return out


def resnet50_layers():
    """(parameters, multiply-adds of an image) of each layer, for 224 x 224 pictures; batch norm
    counts with its convolution."""
    layers = []

    def conv(k, n_in, n_out, side):
        layers.append((k * k * n_in * n_out + 2 * n_out, k * k * n_in * n_out * side * side))

    conv(7, 3, 64, 112)
    n_in, side = 64, 56
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            conv(1, n_in, width, side if block or not stage else 2 * side)
            conv(3, width, width, side)
            conv(1, width, 4 * width, side)
            if not block:
                conv(1, n_in, 4 * width, side)
            n_in = 4 * width
        side //= 2
    layers.append((2048 * 1000 + 1000, 2048 * 1000))
    return layers


def write_resnet50_genoa(out, images_per_s_core, batch):
    """The run that the table of docs/scaling.md starts from: not a measured one. A node has two
    EPYC 9654, 4 ranks of 48 lanes; the backward pass takes two thirds of a microbatch, a layer
    its share of the multiply-adds; the optimizer moves 20 bytes a parameter and rank at 645
    GB/s."""
    layers = resnet50_layers()
    microbatch_s = 8 / images_per_s_core
    operations = sum(layer[1] for layer in layers)
    left, buckets = operations, []
    for parameters, layer_operations in reversed(layers):
        left -= layer_operations
        buckets.append((4 * parameters, 2 / 3 * microbatch_s * left / operations))
    parameters = sum(layer[0] for layer in layers)
    return write_run(out, node_ranks=4, lanes=48, cores=192, batch=batch, microbatch=8,
                     microbatch_s=microbatch_s, parameters=parameters, buckets=buckets,
                     optimizer_s=4 * 20 * parameters / 645e9,
                     steps_per_epoch=1281167 // batch, total_steps=90 * (1281167 // batch))
