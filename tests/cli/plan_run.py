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
