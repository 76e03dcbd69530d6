/* Counted: each convolution and inner product, forward and for both gradients, in
 * layouts of its own choice; pooling, LRN, additions, elementwise functions and concats
 * of the net as they stand there, and oneDNN's batch normalization for ours, with the
 * ReLU that ours does. Not counted: reorders, sums of gradients, dropout, the loss,
 * sums over microbatches, the optimizer: with them a step is above the limit.
 *
 * Equal primitives are measured once and count as often as they stand in the program.
 * One at a time has memory: the largest one's. Each runs twice, and the second time
 * counts, so that its code and, where they fit, its data are in cache. */
#include "bench/bench_limit.h"

#include "base/memory.h"
#include "bench/exchange_figures.h"
#include "onednn/alone.h"

/* A primitive that is measured. */
struct item {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    int row, count;
};

struct limit {
    const struct net_lanes *net_lanes;
    const struct bench_rows *rows;
    double share; /* microbatches of a lane in a step */
    int rounds, n_rounds;
    int n_items;
    struct item *items;       /* [n_ops], n_items of them made */
    void **memory;            /* [lanes] */
    size_t bytes;             /* of each, the largest item's */
    struct alone_time *times; /* [lanes] of the current item */
    int current;
    double *alone_s, *ours_s; /* [rows, rounds], CPU time */
    double *total_s;          /* [rounds], by the clock */
};

static bool counts(const struct program *program, int i)
{
    const struct program_cost op = program_cost(program, i);
    dnnl_primitive_desc_t pd = program_primitive(program, i);
    if (!pd || op.phase == PHASE_WEIGHTS)
        return false;
    const dnnl_primitive_kind_t kind = dnn_work_of(pd).kind;
    return kind != dnnl_reorder && !(kind == dnnl_binary && op.phase == PHASE_BACKWARD);
}

/* The item that best is another one of, or a new one, which takes best over. */
static struct item *find_item(struct limit *l, dnnl_primitive_desc_t best, int row)
{
    for (int i = 0; i < l->n_items; i++)
        if (l->items[i].row == row && alone_same(l->items[i].pd, best)) {
            dnnl_primitive_desc_destroy(best);
            return &l->items[i];
        }
    l->items[l->n_items] = (struct item){.pd = best, .row = row};
    return &l->items[l->n_items++];
}

/* On the first lane, whose number of threads oneDNN asks for. */
static convoy_status make_items(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct limit *l = context;
    const struct compiled *compiled = l->net_lanes->copies[0];
    for (int i = 0; i < l->rows->n_ops && lane == 0; i++) {
        dnnl_primitive_desc_t best = NULL;
        if (!counts(compiled->program, i))
            continue;
        TRY(alone_best(&compiled->net->dnn, program_primitive(compiled->program, i),
                       &best));
        struct item *item = find_item(l, best, l->rows->row_of[i]);
        item->count++;
        if (item->primitive)
            continue;
        TRY_DNNL(dnnl_primitive_create(&item->primitive, item->pd));
        if (alone_bytes(item->pd) > l->bytes)
            l->bytes = alone_bytes(item->pd);
    }
cleanup:
    return status;
}

static convoy_status allocate(void *context, int lane)
{
    struct limit *l = context;
    return mem_alloc(l->bytes, &l->memory[lane]);
}

static convoy_status make_room(struct limit *l)
{
    convoy_status status = CONVOY_OK;
    const size_t lanes = (size_t)l->net_lanes->n, rounds = (size_t)l->rounds,
                 cells = rounds * (size_t)l->rows->n_rows;
    TRY(mem_alloc_array((size_t)l->rows->n_ops, sizeof *l->items, (void **)&l->items));
    TRY(mem_alloc_array(lanes, sizeof *l->memory, (void **)&l->memory));
    TRY(mem_alloc_array(lanes, sizeof *l->times, (void **)&l->times));
    TRY(mem_alloc_array(cells, sizeof *l->alone_s, (void **)&l->alone_s));
    TRY(mem_alloc_array(cells, sizeof *l->ours_s, (void **)&l->ours_s));
    TRY(mem_alloc_array(rounds, sizeof *l->total_s, (void **)&l->total_s));
cleanup:
    return status;
}

convoy_status limit_create(const struct net_lanes *net_lanes,
                           const struct bench_rows *rows, int microbatches, int rounds,
                           struct limit **limit)
{
    convoy_status status = CONVOY_OK;
    struct limit *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->net_lanes = net_lanes;
    made->rows = rows;
    made->share = (double)microbatches / net_lanes->n;
    made->rounds = rounds;
    TRY(make_room(made));
    TRY(lanes_run(net_lanes->lanes, make_items, made));
    TRY(lanes_run(net_lanes->lanes, allocate, made));
    *limit = made;
    made = NULL;
cleanup:
    limit_destroy(made);
    return status;
}

void limit_destroy(struct limit *limit)
{
    if (!limit)
        return;
    for (int i = 0; i < limit->n_items; i++) {
        if (limit->items[i].primitive)
            dnnl_primitive_destroy(limit->items[i].primitive);
        dnnl_primitive_desc_destroy(limit->items[i].pd);
    }
    for (int i = 0; limit->memory && i < limit->net_lanes->n; i++)
        mem_free(limit->memory[i]);
    mem_free(limit->memory);
    mem_free(limit->items);
    mem_free(limit->times);
    mem_free(limit->alone_s);
    mem_free(limit->ours_s);
    mem_free(limit->total_s);
    mem_free(limit);
}

static convoy_status run_item(void *context, int lane)
{
    struct limit *l = context;
    const struct item *item = &l->items[l->current];
    return alone_run(&l->net_lanes->copies[0]->net->dnn, item->pd, item->primitive,
                     l->memory[lane], &l->times[lane]);
}

/* Adds what the current item takes in a step to its row and to the total. */
static void add_item(struct limit *l)
{
    const struct item *item = &l->items[l->current];
    const double weight = item->count * l->share / l->net_lanes->n;
    for (int lane = 0; lane < l->net_lanes->n; lane++) {
        const struct alone_time *time = &l->times[lane];
        l->alone_s[item->row * l->rounds + l->n_rounds] += weight * time->cpu_seconds;
        l->total_s[l->n_rounds] += weight * time->seconds;
    }
}

/* Times of rows only grow: what earlier rounds have noted is subtracted. */
static void note_rows(struct limit *l)
{
    for (int row = 0; row < l->rows->n_rows; row++) {
        double *of_row = l->ours_s + (ptrdiff_t)row * l->rounds, before = 0;
        for (int i = 0; i < l->n_rounds; i++)
            before += of_row[i];
        of_row[l->n_rounds] =
            bench_rows_time(l->rows, l->net_lanes, row).cpu_seconds - before;
    }
}

convoy_status limit_measure(struct limit *limit)
{
    convoy_status status = CONVOY_OK;
    note_rows(limit);
    for (limit->current = 0; limit->current < limit->n_items; limit->current++) {
        TRY(lanes_run(limit->net_lanes->lanes, run_item, limit));
        add_item(limit);
    }
    limit->n_rounds++;
cleanup:
    return status;
}

double limit_row_cpu_s(struct limit *limit, int row)
{
    return figures_median(limit->alone_s + (ptrdiff_t)row * limit->rounds,
                          limit->n_rounds);
}

double limit_row_ours_cpu_s(struct limit *limit, int row)
{
    return figures_median(limit->ours_s + (ptrdiff_t)row * limit->rounds,
                          limit->n_rounds);
}

struct bench_seconds limit_seconds(struct limit *limit)
{
    double cpu_s = 0;
    for (int row = 0; row < limit->rows->n_rows; row++)
        cpu_s += limit_row_cpu_s(limit, row);
    return (struct bench_seconds){.seconds =
                                      figures_median(limit->total_s, limit->n_rounds),
                                  .cpu_seconds = cpu_s};
}
