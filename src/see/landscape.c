/* Points are shared out, not the data: a rank evaluates a point alone, on all samples,
 * with the sums of an evaluation, so it matters to no number which rank does it. Points
 * that are still to come are taken in the grid's order, in slices of a few for each
 * rank; after a slice all ranks know its numbers, and rank 0 may write them.
 *
 * Of a part of the samples, the k-th is record k n / N of n: evenly over the pack,
 * since a pack may hold its classes one after another. */
#include <convoy/landscape.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "comm/broadcast.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "comm/world.h"
#include "infer/evaluation.h"
#include "see/landscape_plane.h"
#include "see/landscape_plot.h"
#include "see/landscape_surface.h"
#include "setup/machine.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS = 51, SLICE = 4, PATH_SIZE = 4096, FACTS_SIZE = 2048 };
/* A point as ranks tell it. */
enum { POINT_LOSS, POINT_PERCENT, N_POINT };

static const double write_every_s = 5;

/* Records that stand in for the first ones of a pack. */
struct spread {
    const convoy_pack *pack;
    uint64_t n_records, n_taken;
};

struct landscape {
    convoy_world *world;
    const convoy_landscape_options *options;
    struct evaluation evaluation;
    struct spread spread;
    struct record_reader reader; /* of spread; used where not all samples are */
    struct landscape_plane plane;
    struct landscape_surface surface;
    char surface_path[PATH_SIZE], directions_path[PATH_SIZE];
    uint64_t n_done;
    double written_s; /* when surface.h5 was; 0: not here */
};

static int n_axes(const convoy_landscape_options *options)
{
    return options->line ? 1 : 2;
}

static convoy_status check_options(const convoy_landscape_options *o)
{
    if (o->points < 2 || o->points > CONVOY_LANDSCAPE_MAX_POINTS)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%d points a side, expected 2 to %d",
                    o->points, CONVOY_LANDSCAPE_MAX_POINTS);
    if (!isfinite(o->low) || !isfinite(o->high) || !(o->low < o->high))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "coordinates from %g to %g: the first must be below the second",
                    o->low, o->high);
    return CONVOY_OK;
}

/* As pack_read, which a loader calls otherwise. */
static convoy_status read_spread(void *context, uint64_t step, int row, uint64_t record,
                                 void **buffer, size_t *capacity,
                                 struct pack_record *read)
{
    const struct spread *s = context;
    (void)step;
    (void)row;
    return pack_read(s->pack, record * s->n_records / s->n_taken, buffer, capacity,
                     read);
}

/* Whole microbatches, as many as hold so many samples. */
static convoy_status choose_samples(struct landscape *l, const char *data)
{
    struct loader_options *loading = &l->evaluation.inference.loading;
    const uint64_t n = convoy_pack_describe(l->evaluation.pack)->n_records;
    const uint64_t m = (uint64_t)loading->microbatch, wanted = l->options->samples;
    const uint64_t batches = wanted / m + (wanted % m > 0);
    l->spread = (struct spread){l->evaluation.pack, n, n};
    if (wanted > n)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%llu samples are asked for, but %s has %llu records",
                    (unsigned long long)wanted, data, (unsigned long long)n);
    if (wanted == 0 || batches * m >= n)
        return CONVOY_OK;
    l->spread.n_taken = batches * m;
    l->reader = (struct record_reader){.read = read_spread, .context = &l->spread};
    loading->reader = &l->reader;
    loading->at_most = (int)batches;
    return CONVOY_OK;
}

/* All that decides the numbers, by the names of the command's options where there is
 * one; the order of names is the order in which differences are told. */
static convoy_status make_surface(struct landscape *l)
{
    const convoy_landscape_options *o = l->options;
    const struct evaluation *e = &l->evaluation;
    const struct loader_options *loading = &e->inference.loading;
    char machine[MACHINE_FACTS_SIZE], facts[FACTS_SIZE];
    machine_facts(machine);
    snprintf(facts, sizeof facts,
             "weights\t%s\nema\t%s\ndata\t%s\nsamples\t%llu\npoints\t%d\n"
             "1d\t%s\nrange\t%.17g:%.17g\nseed\t%llu\nprecision\t%s\n"
             "crop\t%d\nresize\t%d\nflip\t%d\nmicrobatch\t%d\nthreads\t%d\n%s",
             checkpoint_content_hash(e->inference.checkpoint), o->ema ? "yes" : "no",
             convoy_pack_describe(e->pack)->id, (unsigned long long)l->spread.n_taken,
             o->points, o->line ? "yes" : "no", o->low, o->high,
             (unsigned long long)o->seed, loading->bf16 ? "bf16" : "f32",
             loading->shape[1], loading->resize, e->flips, loading->microbatch,
             e->threads, machine);
    return landscape_surface_make(o->points, o->low, o->high, o->line, facts,
                                  &l->surface);
}

/* What of it is the evaluation's. Statistics are never recomputed: they are part of the
 * net that is looked at. */
static convoy_eval_options evaluation_options(const convoy_landscape_options *o)
{
    return (convoy_eval_options){.ema = o->ema,
                                 .lanes = o->lanes,
                                 .threads = o->threads,
                                 .microbatch = o->microbatch,
                                 .precision = o->precision,
                                 .batch_norm = "running"};
}

static convoy_status prepare(struct landscape *l, const char *weights, const char *data,
                             const char *folder)
{
    convoy_status status = CONVOY_OK;
    const convoy_eval_options evaluating = evaluation_options(l->options);
    TRY(file_join(folder, "surface.h5", l->surface_path, PATH_SIZE));
    TRY(file_join(folder, "directions.h5", l->directions_path, PATH_SIZE));
    TRY(evaluation_prepare(l->world, &l->evaluation, weights, data, &evaluating));
    TRY(choose_samples(l, data));
    TRY(make_surface(l));
cleanup:
    return status;
}

/* What the plane will take is no other's. */
static convoy_status make_evaluation(struct landscape *l, uint64_t left)
{
    const convoy_eval_options evaluating = evaluation_options(l->options);
    const uint64_t taken =
        landscape_plane_bytes(l->evaluation.inference.net, n_axes(l->options));
    if (left > 0)
        left = left > taken ? left - taken : 1;
    return evaluation_make(&l->evaluation, NULL, left, &evaluating);
}

/* By rank 0: what earlier calls have left, and the directions beside it. */
static convoy_status open_folder(struct landscape *l, const char *folder)
{
    convoy_status status = CONVOY_OK;
    if (convoy_world_rank(l->world) > 0)
        return CONVOY_OK;
    TRY(file_make_folder(folder));
    TRY(landscape_surface_read(l->surface_path, &l->surface));
    TRY(landscape_plane_write(&l->plane, l->options->seed, l->directions_path));
cleanup:
    return status;
}

/* All ranks have to know which points are there. */
static convoy_status share_surface(struct landscape *l)
{
    convoy_status status = CONVOY_OK;
    const size_t n_bytes = landscape_surface_n(&l->surface) * sizeof(double);
    TRY(broadcast_bytes(l->world, 0, l->surface.loss, n_bytes));
    TRY(broadcast_bytes(l->world, 0, l->surface.percent, n_bytes));
    for (size_t i = 0; i < landscape_surface_n(&l->surface); i++)
        l->n_done += landscape_surface_has(&l->surface, i);
cleanup:
    return status;
}

/* The loss of no sample is below 0, but a value that is not finite may have any sign:
 * only what is not computed may look so. */
static double told_loss(double loss)
{
    return loss < 0 ? (double)NAN : loss;
}

static convoy_status compute_point(struct landscape *l, size_t i, double *point)
{
    convoy_status status = CONVOY_OK;
    const size_t n_x = (size_t)l->surface.n_x;
    const double at[] = {l->surface.x[i % n_x], l->surface.y[i / n_x]};
    convoy_eval_result result;
    landscape_plane_go(&l->plane, at);
    TRY(evaluator_run(l->evaluation.evaluator, NULL, NULL, &result));
    point[POINT_LOSS] = told_loss(result.loss);
    point[POINT_PERCENT] = 100 * result.top1;
cleanup:
    return status;
}

/* This rank's of n points, whose numbers are in indices. points: [n, N_POINT]. */
static convoy_status compute_own(struct landscape *l, const int *indices, int n,
                                 double *points)
{
    convoy_status status = CONVOY_OK;
    int first, count;
    tree_range(n, convoy_world_rank(l->world), convoy_world_size(l->world), &first,
               &count);
    for (int i = first; i < first + count; i++)
        TRY(compute_point(l, (size_t)indices[i], points + (size_t)i * N_POINT));
cleanup:
    return status;
}

static void keep_points(struct landscape *l, const int *indices, int n,
                        const double *points)
{
    for (int i = 0; i < n; i++) {
        const double *point = points + (size_t)i * N_POINT;
        l->surface.loss[indices[i]] = point[POINT_LOSS];
        l->surface.percent[indices[i]] = point[POINT_PERCENT];
    }
    l->n_done += (uint64_t)n;
}

static convoy_status write_surface(struct landscape *l, bool is_last)
{
    const bool is_first = !(l->written_s > 0);
    const bool is_due =
        is_first || is_last || clock_now_s() - l->written_s > write_every_s;
    if (convoy_world_rank(l->world) > 0 || !is_due)
        return CONVOY_OK;
    const convoy_status status = landscape_surface_write(&l->surface, l->surface_path);
    l->written_s = clock_now_s();
    return status;
}

static void show(const struct landscape *l)
{
    const convoy_landscape_options *o = l->options;
    if (o->progress && convoy_world_rank(l->world) == 0)
        o->progress(o->context, l->n_done, landscape_surface_n(&l->surface));
}

/* Points that are not there yet, in their order: *indices is new. */
static convoy_status list_points(const struct landscape *l, int **indices, int *n)
{
    const size_t all = landscape_surface_n(&l->surface);
    const convoy_status status =
        mem_alloc_array(all, sizeof **indices, (void **)indices);
    *n = 0;
    for (size_t i = 0; i < all && status == CONVOY_OK; i++)
        if (!landscape_surface_has(&l->surface, i))
            (*indices)[(*n)++] = (int)i;
    return status;
}

static convoy_status compute_slices(struct landscape *l, const int *indices, int n,
                                    double *points)
{
    convoy_status status = CONVOY_OK;
    const int slice = SLICE * convoy_world_size(l->world);
    for (int done = 0, length; done < n; done += length) {
        length = n - done < slice ? n - done : slice;
        TRY(convoy_world_agree(l->world,
                               compute_own(l, indices + done, length, points)));
        TRY(exchange_share(l->world, points, length, N_POINT));
        keep_points(l, indices + done, length, points);
        TRY(convoy_world_agree(l->world, write_surface(l, done + length == n)));
        show(l);
    }
cleanup:
    return status;
}

static convoy_status compute(struct landscape *l)
{
    convoy_status status = CONVOY_OK;
    const size_t slice = (size_t)SLICE * (size_t)convoy_world_size(l->world);
    int *indices = NULL, n = 0;
    double *points = NULL;
    status = list_points(l, &indices, &n);
    if (status == CONVOY_OK)
        status = mem_alloc_array(slice * N_POINT, sizeof *points, (void **)&points);
    TRY(convoy_world_agree(l->world, status));
    show(l);
    TRY(compute_slices(l, indices, n, points));
cleanup:
    mem_free(indices);
    mem_free(points);
    return status;
}

static double distance_of(const struct landscape_surface *s, size_t i)
{
    const size_t n_x = (size_t)s->n_x;
    return hypot(s->x[i % n_x], s->y[i / n_x]);
}

static void sum_up(const struct landscape *l, uint64_t n_before,
                   convoy_landscape_result *result)
{
    const struct landscape_surface *s = &l->surface;
    size_t centre = 0;
    result->n_points = landscape_surface_n(s);
    result->n_before = n_before;
    result->n_samples = l->spread.n_taken;
    result->least = result->most = (double)NAN;
    for (size_t i = 0; i < result->n_points; i++) {
        if (distance_of(s, i) < distance_of(s, centre))
            centre = i;
        if (!isfinite(s->loss[i])) {
            result->n_not_finite++;
            continue;
        }
        result->least = fmin(result->least, s->loss[i]);
        result->most = fmax(result->most, s->loss[i]);
    }
    result->centre_distance = distance_of(s, centre);
    result->centre_loss = s->loss[centre];
    result->centre_top1 = s->percent[centre] / 100;
}

static void landscape_free(struct landscape *l)
{
    landscape_plane_free(&l->plane);
    landscape_surface_free(&l->surface);
    evaluation_free(&l->evaluation);
}

/* From a checkpoint to an evaluator on every rank, and the plane in its net. */
static convoy_status set_up(struct landscape *l, const char *weights, const char *data,
                            const char *folder)
{
    convoy_status status = CONVOY_OK;
    convoy_world *world = l->world;
    struct evaluation *e = &l->evaluation;
    uint64_t left = 0;
    e->inference.ema = l->options->ema;
    TRY(convoy_world_agree(world, check_options(l->options)));
    TRY(inference_open(world, weights, &e->inference));
    TRY(convoy_world_agree(world, prepare(l, weights, data, folder)));
    TRY(evaluation_check_same(world, e, weights));
    TRY(convoy_world_same(world, l->surface.facts));
    TRY(cores_share(world, &e->cores));
    TRY(world_memory_left(world, &left));
    TRY(convoy_world_agree(world, make_evaluation(l, left)));
    TRY(inference_load(&e->inference));
    TRY(convoy_world_agree(world, landscape_plane_make(e->inference.net, e->lanes,
                                                       l->options->seed,
                                                       n_axes(l->options), &l->plane)));
    TRY(convoy_world_agree(world, open_folder(l, folder)));
    TRY(share_surface(l));
cleanup:
    return status;
}

convoy_status convoy_landscape_run(convoy_world *world, const char *weights,
                                   const char *data, const char *folder,
                                   const convoy_landscape_options *options,
                                   convoy_landscape_result *result)
{
    convoy_status status = CONVOY_OK;
    convoy_landscape_options chosen = {0};
    struct landscape l = {.world = world, .options = &chosen};
    convoy_landscape_result made = {0};
    if (options)
        chosen = *options;
    if (chosen.points == 0)
        chosen.points = POINTS;
    if (chosen.low == 0 && chosen.high == 0) {
        chosen.low = -1;
        chosen.high = 1;
    }
    pulse_enter_phase(PULSE_START);
    TRY(set_up(&l, weights, data, folder));
    const uint64_t n_before = l.n_done;
    TRY(compute(&l));
    sum_up(&l, n_before, &made);
    *result = made;
cleanup:
    landscape_free(&l);
    return status;
}

convoy_status convoy_landscape_draw(const char *folder, double top)
{
    convoy_status status = CONVOY_OK;
    struct landscape_surface surface = {0};
    char path[PATH_SIZE];
    if (!isfinite(top) || top < 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "drawings cannot end at a loss of %g", top);
    TRY(file_join(folder, "surface.h5", path, sizeof path));
    TRY(landscape_surface_open(path, &surface));
    TRY(landscape_plot_write(&surface, top, folder));
cleanup:
    landscape_surface_free(&surface);
    return status;
}
