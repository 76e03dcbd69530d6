/* A plan as text for people, as CSV and as JSON. */
#include "plan/plan_parts.h"

#include <convoy/json.h>

#include <inttypes.h>

static convoy_status finish(FILE *stream)
{
    if (fflush(stream) != 0 || ferror(stream))
        return FAIL(CONVOY_ERROR_IO, "cannot write the plan");
    return CONVOY_OK;
}

static const char *algorithm_name(const struct plan_input *in)
{
    static const char *const names[] = {"direct", "two-level", "native"};
    return in->is_auto ? "auto" : names[in->algorithm];
}

static void write_head(const convoy_plan *p, FILE *stream)
{
    const struct plan_input *in = &p->input;
    const double per_node = (double)in->ranks / in->nodes;
    fprintf(stream,
            "From a run on %d node%s, %.3g rank%s a node, %d lane%s each, batch "
            "%" PRId64 " in microbatches of %d:\n"
            "  %.4g s a step; with this network %.4g s are predicted for it\n",
            in->nodes, in->nodes == 1 ? "" : "s", per_node, per_node == 1 ? "" : "s",
            in->lanes, in->lanes == 1 ? "" : "s", in->batch, in->microbatch, in->step_s,
            p->measured_s);
    fprintf(stream, "  %.4g s a microbatch on each lane; %.4g MB of gradients, %s\n",
            in->round_s, 4e-6 * (double)in->n,
            in->has_timeline
                ? "each bucket ready as it was in the run"
                : "taken to be ready evenly over the backward pass, as the run has no "
                  "timeline of several ranks");
    fprintf(stream, "Exchange: %s. Network %s\n", algorithm_name(in), p->network_text);
    fprintf(stream, "%s scaling.\n\n", p->options.weak ? "Weak" : "Strong");
}

static void write_row(const convoy_plan *p, const convoy_plan_row *row, FILE *stream)
{
    fprintf(stream, "%6d %7d", row->nodes, row->ranks);
    if (row->refused) {
        fprintf(stream, "  cannot run: %s\n", row->refused);
        return;
    }
    fprintf(stream, " %8" PRId64 " %6d %9.4g %9.4g %9.4g %8.2f %10.2f %9.4g ",
            row->batch, row->rounds, row->step_s, row->exposed_s, row->images_per_s,
            row->speedup, row->efficiency, row->epoch_s);
    if (p->input.total_steps > 0)
        fprintf(stream, "%10.4g", row->node_hours);
    else
        fprintf(stream, "%10s", "-");
    fprintf(stream, "  %s", row->limit);
    if (row->limit_s > 0)
        fprintf(stream, " (%.0f %%)", 100 * row->limit_s / row->step_s);
    if (row->read_bytes_per_s > 0)
        fprintf(stream, "; reads %.3g MB/s", 1e-6 * row->read_bytes_per_s);
    fputc('\n', stream);
}

static void write_advice(const convoy_plan *p, int i, FILE *stream)
{
    const convoy_plan_row *row = &p->rows[i];
    const struct plan_advice *a = &p->advice[i];
    if (a->step_s > 0)
        fprintf(stream,
                "On %d node%s: %d rank%s a node and buckets of %d MiB: %.4g s a step, "
                "%.0f %% less.\n",
                row->nodes, row->nodes == 1 ? "" : "s", a->setting.node_ranks,
                a->setting.node_ranks == 1 ? "" : "s", a->setting.bucket_mib, a->step_s,
                100 * (1 - a->step_s / row->step_s));
    if (a->microbatch_step_s > 0)
        fprintf(stream,
                "On %d node%s: %smicrobatches of %d, which give other results: %.4g s "
                "a step, %.0f %% less.\n",
                row->nodes, row->nodes == 1 ? "" : "s",
                a->step_s > 0 ? "and with that " : "", a->microbatch,
                a->microbatch_step_s, 100 * (1 - a->microbatch_step_s / row->step_s));
}

convoy_status convoy_plan_write_text(const convoy_plan *plan, FILE *stream)
{
    write_head(plan, stream);
    fprintf(stream, "%6s %7s %8s %6s %9s %9s %9s %8s %10s %9s %10s  %s\n", "nodes",
            "ranks", "batch", "rounds", "s/step", "exposed", "img/s", "speed-up",
            "efficiency", "epoch (s)", "node-hours", "limit (of a step)");
    for (int i = 0; i < plan->n_rows; i++)
        write_row(plan, &plan->rows[i], stream);
    fputc('\n', stream);
    for (int i = 0; i < plan->n_rows; i++)
        if (!plan->rows[i].refused)
            write_advice(plan, i, stream);
    return finish(stream);
}

convoy_status convoy_plan_write_csv(const convoy_plan *plan, FILE *stream)
{
    fputs("nodes,ranks,batch,rounds,step_s,compute_s,exposed_s,after_s,images_per_s,"
          "speedup,efficiency,epoch_s,node_hours,limit,limit_s,refused\n",
          stream);
    for (int i = 0; i < plan->n_rows; i++) {
        const convoy_plan_row *r = &plan->rows[i];
        fprintf(stream, "%d,%d,", r->nodes, r->ranks);
        if (r->refused)
            fprintf(stream, ",,,,,,,,,,,,,\"%s\"\n", r->refused);
        else
            fprintf(stream,
                    "%" PRId64 ",%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%s,"
                    "%.9g,\n",
                    r->batch, r->rounds, r->step_s, r->compute_s, r->exposed_s,
                    r->after_s, r->images_per_s, r->speedup, r->efficiency, r->epoch_s,
                    r->node_hours, r->limit, r->limit_s);
    }
    return finish(stream);
}

static void put_advice(convoy_json *json, const struct plan_advice *a)
{
    convoy_json_begin_object(json, "advice");
    if (a->step_s > 0) {
        convoy_json_integer(json, "node_ranks", a->setting.node_ranks);
        convoy_json_integer(json, "bucket_mib", a->setting.bucket_mib);
        convoy_json_number(json, "step_s", a->step_s);
    }
    if (a->microbatch_step_s > 0) {
        convoy_json_integer(json, "microbatch", a->microbatch);
        convoy_json_number(json, "microbatch_step_s", a->microbatch_step_s);
    }
    convoy_json_end(json);
}

static void put_row(convoy_json *json, const convoy_plan_row *r)
{
    convoy_json_integer(json, "batch", r->batch);
    convoy_json_integer(json, "rounds", r->rounds);
    convoy_json_number(json, "step_s", r->step_s);
    convoy_json_number(json, "compute_s", r->compute_s);
    convoy_json_number(json, "exposed_s", r->exposed_s);
    convoy_json_number(json, "after_s", r->after_s);
    convoy_json_number(json, "images_per_s", r->images_per_s);
    convoy_json_number(json, "speedup", r->speedup);
    convoy_json_number(json, "efficiency", r->efficiency);
    convoy_json_number(json, "epoch_s", r->epoch_s);
    convoy_json_number(json, "node_hours", r->node_hours);
    convoy_json_number(json, "read_bytes_per_s", r->read_bytes_per_s);
    convoy_json_text(json, "limit", r->limit);
    convoy_json_number(json, "limit_s", r->limit_s);
    convoy_json_integer(json, "buckets", r->n_buckets);
    convoy_json_integer(json, "bucket_bytes", r->bucket_bytes);
    convoy_json_integer(json, "flights", r->flights);
    convoy_json_number(json, "first_ready_s", r->first_ready_s);
    convoy_json_number(json, "scores_s", r->scores_s);
}

convoy_status convoy_plan_write_json(const convoy_plan *plan, FILE *stream)
{
    const struct plan_network *w = &plan->network;
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "network", plan->network_text);
    convoy_json_number(&json, "bytes_per_s", w->bytes_per_s);
    convoy_json_number(&json, "latency_s", w->latency_s);
    convoy_json_number(&json, "overhead_s", w->overhead_s);
    convoy_json_number(&json, "sum_bytes_per_s", w->sum_bytes_per_s);
    convoy_json_text(&json, "scaling", plan->options.weak ? "weak" : "strong");
    convoy_json_bool(&json, "timeline", plan->input.has_timeline);
    convoy_json_number(&json, "run_step_s", plan->input.step_s);
    convoy_json_number(&json, "run_predicted_s", plan->measured_s);
    convoy_json_begin_list(&json, "rows");
    for (int i = 0; i < plan->n_rows; i++) {
        const convoy_plan_row *r = &plan->rows[i];
        convoy_json_begin_object(&json, NULL);
        convoy_json_integer(&json, "nodes", r->nodes);
        convoy_json_integer(&json, "ranks", r->ranks);
        if (r->refused)
            convoy_json_text(&json, "refused", r->refused);
        else {
            put_row(&json, r);
            put_advice(&json, &plan->advice[i]);
        }
        convoy_json_end(&json);
    }
    convoy_json_end(&json);
    convoy_json_end(&json);
    return finish(stream);
}
