/* A step is its computing, what of the exchange lies behind that, and the optimizer:
 *
 *   rounds   w = ceil(ceil(M / P) / L)  M microbatches, P ranks of L lanes
 *   compute  C = C0 + (w - w0) t        t: a microbatch on each lane; 0: of the run
 *   ready    r_b = C - before_b         of the last round, as the run measured it
 *   step     max(C, done) + optimizer + rest
 *
 * or what reading its images takes, if that is longer. A microbatch of another size
 * takes as much longer as it has images; the optimizer's time goes by the lanes of a
 * rank, since every rank updates all weights. Forward passes are over two thirds of a
 * microbatch before C; then ranks tell each other their scores before anything is
 * sent. */
#include "plan/plan_step.h"

#include "comm/bucket.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BUCKETS = 4096, NATIVE_N = 1 << 21, MIB_N = 1 << 18 };
enum { MOST = 1 << 26 }; /* ranks, microbatches */
static const double backward_share = 2.0 / 3;
static const double worth_telling = 0.02; /* of a step */

static int lanes_of(const struct plan_input *in, int node_ranks)
{
    if ((int64_t)node_ranks * in->nodes == in->ranks)
        return in->lanes;
    const int lanes = in->cores / node_ranks / in->threads;
    return lanes > 0 ? lanes : 1;
}

struct plan_setting plan_setting_of(const struct plan_input *in,
                                    const convoy_plan_options *o, int nodes)
{
    struct plan_setting s = {.nodes = nodes,
                             .node_ranks = (in->ranks + in->nodes - 1) / in->nodes,
                             .batch = in->batch,
                             .microbatch = in->microbatch,
                             .bucket_mib = in->bucket_mib};
    if (o->node_ranks > 0)
        s.node_ranks = o->node_ranks;
    if (o->microbatch > 0)
        s.microbatch = o->microbatch;
    if (o->bucket_mib > 0)
        s.bucket_mib = o->bucket_mib;
    if (o->weak)
        s.batch = in->batch * nodes / in->nodes;
    return s;
}

bool plan_refuses(const struct plan_input *in, const struct plan_setting *s,
                  bool is_weak, char *why, size_t size)
{
    const int64_t ranks = (int64_t)s->nodes * s->node_ranks;
    const int64_t microbatches = s->batch / s->microbatch;
    why[0] = '\0';
    if (is_weak && in->batch * s->nodes % in->nodes != 0)
        snprintf(why, size, "the run's batch of %lld on %d nodes is no whole one on %d",
                 (long long)in->batch, in->nodes, s->nodes);
    else if (s->batch % s->microbatch != 0)
        snprintf(why, size, "a batch of %lld is not made of microbatches of %d",
                 (long long)s->batch, s->microbatch);
    else if (ranks > microbatches)
        snprintf(why, size,
                 "%lld ranks for %lld microbatches: fewer ranks a node, smaller "
                 "microbatches, a larger batch, or --weak",
                 (long long)ranks, (long long)microbatches);
    else if (s->node_ranks > in->cores)
        snprintf(why, size, "%d ranks on the %d cores of a node", s->node_ranks,
                 in->cores);
    else if (ranks > MOST || microbatches > MOST)
        snprintf(why, size, "%lld ranks, %lld microbatches: at most %d",
                 (long long)ranks, (long long)microbatches, MOST);
    return why[0] != '\0';
}

static size_t bucket_floats(const struct plan_setting *s, enum plan_algorithm algorithm)
{
    if (s->bucket_mib > 0)
        return (size_t)s->bucket_mib * MIB_N;
    return algorithm == PLAN_NATIVE ? NATIVE_N
                                    : bucket_auto_n(s->nodes * s->node_ranks);
}

static enum plan_algorithm algorithm_of(const struct plan_input *in,
                                        const struct plan_setting *s)
{
    if (!in->is_auto)
        return in->algorithm;
    return s->node_ranks > 1 ? PLAN_TWO_LEVEL : PLAN_DIRECT;
}

/* When buckets are ready where computing ends at end_s and a microbatch takes scale
 * times the run's time. A vector of very many of them goes in as fewer, larger ones. */
static int list_buckets(const struct plan_input *in, const struct buckets *cut,
                        double end_s, double scale, struct plan_bucket *list)
{
    const int n = cut->count < MAX_BUCKETS ? cut->count : MAX_BUCKETS;
    double bytes = 0;
    for (int b = 0; b < n; b++) {
        const struct extent e = buckets_extent(cut, b);
        list[b].bytes = (double)(e.end - e.begin) * sizeof(float);
        bytes += list[b].bytes;
        list[b].ready_s = fmax(0, end_s - scale * plan_input_before_s(in, bytes));
    }
    list[n - 1].bytes += fmax(0, (double)in->n * sizeof(float) - bytes);
    list[n - 1].ready_s = end_s;
    return n;
}

static struct plan_network network_without(const struct plan_network *network,
                                           enum plan_without without)
{
    struct plan_network w = *network;
    if (without == PLAN_WITHOUT_BANDWIDTH)
        w.bytes_per_s = 1e18;
    else if (without == PLAN_WITHOUT_LATENCY)
        w.latency_s = 0;
    else if (without == PLAN_WITHOUT_OVERHEAD)
        w.overhead_s = 0;
    else if (without == PLAN_WITHOUT_SUMS)
        w.sum_bytes_per_s = 1e18;
    return w;
}

/* Of the busiest lane; without idle ones, of the mean lane, which may have a part of
 * one. */
static double rounds_of(const struct plan_input *in, const struct plan_setting *s,
                        enum plan_without without)
{
    const double ranks = (double)s->nodes * s->node_ranks;
    const int64_t whole = s->batch / s->microbatch;
    const double microbatches = (double)whole;
    const double lanes = lanes_of(in, s->node_ranks);
    if (without == PLAN_WITHOUT_IDLE_LANES)
        return microbatches / ranks / lanes;
    return ceil(ceil(microbatches / ranks) / lanes);
}

static void fill_computing(const struct plan_input *in, const struct plan_setting *s,
                           enum plan_without without, convoy_plan_row *row)
{
    const double scale = (double)s->microbatch / in->microbatch;
    const double run_ranks = (double)in->ranks / in->nodes;
    const double rounds = rounds_of(in, s, without);
    const double fixed_s = in->compute_s - plan_input_rounds(in) * in->round_s;
    row->nodes = s->nodes;
    row->ranks = s->nodes * s->node_ranks;
    row->batch = s->batch;
    row->rounds = (int)ceil(rounds);
    row->compute_s = fmax(0, fixed_s) + rounds * scale * in->round_s;
    row->after_s = in->rest_s;
    if (without != PLAN_WITHOUT_OPTIMIZER)
        row->after_s += in->optimizer_s * s->node_ranks / run_ranks;
}

static void fill_exchange(const struct plan_input *in, const struct plan_network *w,
                          const struct plan_setting *s, convoy_plan_row *row)
{
    static _Thread_local struct plan_bucket list[MAX_BUCKETS];
    const double scale = (double)s->microbatch / in->microbatch;
    struct plan_ranks ranks = {.algorithm = algorithm_of(in, s),
                               .nodes = s->nodes,
                               .node_ranks = s->node_ranks,
                               .n_leaves = (int)(s->batch / s->microbatch)};
    const struct buckets cut = buckets_cut(in->n, bucket_floats(s, ranks.algorithm));
    const int n = list_buckets(in, &cut, row->compute_s, scale, list);
    ranks.flights = cut.flights;
    row->n_buckets = n;
    row->flights = cut.flights;
    row->bucket_bytes = (int64_t)list[0].bytes;
    row->scores_s = fmax(0, row->compute_s - scale * backward_share * in->round_s) +
                    plan_scores_s(w, &ranks);
    row->first_ready_s = list[0].ready_s;
    const double done_s = plan_exchange_s(w, &ranks, list, n, row->scores_s);
    row->exposed_s = fmax(0, done_s - row->compute_s);
}

void plan_step(const struct plan_input *input, const struct plan_network *network,
               const struct plan_setting *setting, double read_bytes_per_s,
               enum plan_without without, convoy_plan_row *row)
{
    const struct plan_network w = network_without(network, without);
    fill_computing(input, setting, without, row);
    if (row->ranks > 1)
        fill_exchange(input, &w, setting, row);
    row->step_s = row->compute_s + row->exposed_s + row->after_s;
    if (read_bytes_per_s > 0 && without != PLAN_WITHOUT_READING)
        row->step_s = fmax(row->step_s, (double)setting->batch * input->image_bytes /
                                            read_bytes_per_s);
    row->images_per_s = (double)setting->batch / row->step_s;
    row->read_bytes_per_s = row->images_per_s * input->image_bytes;
}

static const char *const names[N_PLAN_WITHOUT] = {
    "compute",  "granularity", "bandwidth", "latency",
    "messages", "adding up",   "optimizer", "reading"};

const char *plan_limit(const struct plan_input *input,
                       const struct plan_network *network,
                       const struct plan_setting *setting, double read_bytes_per_s,
                       double *gain_s)
{
    int most = PLAN_WITHOUT_NOTHING;
    convoy_plan_row row = {.nodes = 0};
    plan_step(input, network, setting, read_bytes_per_s, PLAN_WITHOUT_NOTHING, &row);
    const double step_s = row.step_s;
    *gain_s = 0;
    for (int i = 1; i < N_PLAN_WITHOUT; i++) {
        convoy_plan_row other = {.nodes = 0};
        plan_step(input, network, setting, read_bytes_per_s, (enum plan_without)i,
                  &other);
        const double gain = step_s - other.step_s;
        if (gain > worth_telling * step_s && gain > *gain_s) {
            *gain_s = gain;
            most = i;
        }
    }
    return names[most];
}
