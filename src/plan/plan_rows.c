/* Rows for numbers of nodes, and for each the best of some other settings: ranks of a
 * node and buckets, which change no bit, and smaller microbatches, which do. */
#include "plan/plan_parts.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double worth_telling = 0.02; /* of a step */

static int ascending(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* The numbers of nodes in order, each once, as rows. */
static convoy_status list_rows(convoy_plan *p, const convoy_plan_options *o)
{
    int nodes[CONVOY_PLAN_MAX_ROWS];
    if (o->n_nodes < 1 || o->n_nodes > CONVOY_PLAN_MAX_ROWS)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%d numbers of nodes: 1 to %d", o->n_nodes,
                    CONVOY_PLAN_MAX_ROWS);
    for (int i = 0; i < o->n_nodes; i++) {
        if (o->nodes[i] < 1 || o->nodes[i] > CONVOY_PLAN_MAX_NODES)
            return FAIL(CONVOY_ERROR_ARGUMENT, "%d nodes: 1 to %d", o->nodes[i],
                        CONVOY_PLAN_MAX_NODES);
        nodes[i] = o->nodes[i];
    }
    qsort(nodes, (size_t)o->n_nodes, sizeof *nodes, ascending);
    for (int i = 0; i < o->n_nodes; i++)
        if (i == 0 || nodes[i] != nodes[i - 1])
            p->rows[p->n_rows++].nodes = nodes[i];
    return CONVOY_OK;
}

static convoy_status find_network(convoy_plan *p, const convoy_plan_options *o)
{
    convoy_status status = CONVOY_OK;
    const bool is_measured =
        o->network ? strcmp(o->network, "measured") == 0 : o->n_benches > 0;
    const char *name = o->network ? o->network : "hdr100";
    double error = 0;
    if (is_measured && o->n_benches == 0)
        TRY(FAIL(
            CONVOY_ERROR_ARGUMENT,
            "the network 'measured' needs --bench FILE, what convoy bench exchange "
            "--json wrote"));
    const bool is_alone = p->input.is_auto && p->input.ranks == p->input.nodes;
    const enum plan_algorithm algorithm = !p->input.is_auto ? p->input.algorithm
                                          : is_alone        ? PLAN_DIRECT
                                                            : PLAN_TWO_LEVEL;
    TRY(is_measured
            ? plan_network_fit(o->benches, o->n_benches, algorithm, &p->network, &error)
            : plan_network_find(name, &p->network));
    int n =
        snprintf(p->network_text, sizeof p->network_text,
                 "%s: %.3g Gbit/s a node each way, %.3g us latency, %.3g us a message",
                 is_measured ? "measured" : name, p->network.bytes_per_s * 8e-9,
                 p->network.latency_s * 1e6, p->network.overhead_s * 1e6);
    if (is_measured)
        snprintf(p->network_text + n, sizeof p->network_text - (size_t)n,
                 " (fits within %.0f %%)", 100 * error);
cleanup:
    return status;
}

/* Whether the setting can run and is faster than *best_s, which it then is. */
static bool is_faster(const convoy_plan *p, const struct plan_setting *s,
                      double *best_s)
{
    char why[PLAN_TEXT_SIZE];
    convoy_plan_row row = {.nodes = 0};
    if (plan_refuses(&p->input, s, false, why, sizeof why))
        return false;
    plan_step(&p->input, &p->network, s, p->options.read_bytes_per_s,
              PLAN_WITHOUT_NOTHING, &row);
    if (!(row.step_s < *best_s))
        return false;
    *best_s = row.step_s;
    return true;
}

static void advise(const convoy_plan *p, const convoy_plan_row *row,
                   const struct plan_setting *own, struct plan_advice *advice)
{
    const double enough = 1 - worth_telling;
    double best_s = enough * row->step_s;
    *advice = (struct plan_advice){.setting = *own};
    for (int ranks = 1; ranks <= p->input.cores; ranks *= 2)
        for (int mib = 1; mib <= 64; mib *= 2) {
            struct plan_setting s = *own;
            s.node_ranks = ranks;
            s.bucket_mib = mib;
            if (!is_faster(p, &s, &best_s))
                continue;
            best_s *= 1 - 1e-3; /* of equals the first: fewer ranks, shorter buckets */
            advice->setting = s;
            advice->step_s = best_s;
        }
    best_s = enough * (advice->step_s > 0 ? advice->step_s : row->step_s);
    for (int m = own->microbatch / 2; m >= 1 && m >= own->microbatch / 4; m /= 2) {
        struct plan_setting s = advice->setting;
        s.microbatch = m;
        if (is_faster(p, &s, &best_s)) {
            advice->microbatch = m;
            advice->microbatch_step_s = best_s;
        }
    }
}

/* Against the first row that can run. */
static void compare(convoy_plan_row *row, const convoy_plan_row *base)
{
    row->speedup = row->images_per_s / base->images_per_s;
    row->efficiency = row->speedup * base->nodes / row->nodes;
}

static void fill_row(convoy_plan *p, int i, const convoy_plan_options *o)
{
    convoy_plan_row *row = &p->rows[i];
    const struct plan_input *in = &p->input;
    const struct plan_setting s = plan_setting_of(in, o, row->nodes);
    if (plan_refuses(in, &s, o->weak, p->why[i], sizeof p->why[i])) {
        *row = (convoy_plan_row){.nodes = s.nodes, .refused = p->why[i]};
        const int64_t ranks = (int64_t)s.nodes * s.node_ranks;
        row->ranks = ranks < INT32_MAX ? (int)ranks : INT32_MAX;
        return;
    }
    const double read = o->read_bytes_per_s;
    plan_step(in, &p->network, &s, read, PLAN_WITHOUT_NOTHING, row);
    row->limit = plan_limit(in, &p->network, &s, read, &row->limit_s);
    const double images = (double)in->steps_per_epoch * (double)in->batch;
    row->epoch_s = images / row->images_per_s;
    row->node_hours = (double)in->total_steps * (double)in->batch / row->images_per_s *
                      row->nodes / 3600;
    advise(p, row, &s, &p->advice[i]);
}

static void predict_run(convoy_plan *p)
{
    const struct plan_input *in = &p->input;
    convoy_plan_row row = {.nodes = 0};
    const convoy_plan_options none = {.nodes = NULL};
    const struct plan_setting s = plan_setting_of(in, &none, in->nodes);
    char why[PLAN_TEXT_SIZE];
    if (plan_refuses(in, &s, false, why, sizeof why))
        return;
    plan_step(in, &p->network, &s, 0, PLAN_WITHOUT_NOTHING, &row);
    p->measured_s = row.step_s;
}

convoy_status convoy_plan_create(const char *folder, const convoy_plan_options *options,
                                 convoy_plan **plan)
{
    convoy_status status = CONVOY_OK;
    convoy_plan *p = NULL;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    p->options = *options;
    TRY(list_rows(p, options));
    TRY(plan_input_read(folder, &p->input));
    TRY(find_network(p, options));
    const convoy_plan_row *base = NULL;
    for (int i = 0; i < p->n_rows; i++) {
        fill_row(p, i, options);
        if (p->rows[i].refused)
            continue;
        base = base ? base : &p->rows[i];
        compare(&p->rows[i], base);
    }
    predict_run(p);
    *plan = p;
    p = NULL;
cleanup:
    convoy_plan_destroy(p);
    return status;
}

void convoy_plan_destroy(convoy_plan *plan)
{
    mem_free(plan);
}

int convoy_plan_n_rows(const convoy_plan *plan)
{
    return plan->n_rows;
}

const convoy_plan_row *convoy_plan_row_at(const convoy_plan *plan, int i)
{
    return &plan->rows[i];
}

const char *convoy_plan_network(const convoy_plan *plan)
{
    return plan->network_text;
}
