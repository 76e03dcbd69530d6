/* What must hold between the options of a loader and its pack, checked before anything
 * is allocated. Whether the records can become samples of the wanted shape is checked
 * where the samples are made (sample.c). */
#include "load/loader_options.h"

#include "base/cpus.h"
#include "base/status.h"
#include "load/mixing.h"
#include "load/sampler.h"

#include <float.h>
#include <math.h>

/* The default prefetch evens out slow records and the net's wait for an exchange.
 * Consumers take a step's first microbatches all at once, so there is one for each. */
enum { MIN_PREFETCH = 4, PREFETCH_SAMPLES = 64 };
/* Beyond any machine; sums and products of these fit an int64. */
enum { MAX_PREFETCH = 4096, MAX_SIDE = 1 << 16 };

static convoy_status check_range(const struct loader_options *o)
{
    if (o->microbatch < 1 || o->n_microbatches < 1)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d microbatches of %d samples: both must be at least 1",
                    o->n_microbatches, o->microbatch);
    int least = o->evaluate ? 0 : 1;
    if (o->first < 0 || o->count < least || o->count > o->n_microbatches - o->first)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "a rank's range of %d microbatches from %d is not within [0, %d) or "
            "holds fewer than %d: use at most one rank a microbatch",
            o->count, o->first, o->n_microbatches, least);
    if (o->n_threads < 1 || o->n_threads > CPUS_MAX_THREADS)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%d loader threads: 1 to %d are possible",
                    o->n_threads, CPUS_MAX_THREADS);
    if (o->max_threads < 0 || o->max_threads > CPUS_MAX_THREADS)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "at most %d loader threads: 0 to %d are possible", o->max_threads,
                    CPUS_MAX_THREADS);
    if (o->consumers < 0 || o->consumers > CPUS_MAX_THREADS)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d threads that take microbatches: 0 to %d are possible",
                    o->consumers, CPUS_MAX_THREADS);
    if (o->prefetch < 0 || o->prefetch > MAX_PREFETCH)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d microbatches of prefetch: 0 to %d are possible", o->prefetch,
                    MAX_PREFETCH);
    return CONVOY_OK;
}

static bool is_side(int side, int least)
{
    return side >= least && side <= MAX_SIDE;
}

static bool is_at_most(double value, double most)
{
    return value >= 0 && value <= most; /* not where it is no number */
}

static convoy_status check_augment(const struct augment *a)
{
    if (!is_at_most(a->brightness, DBL_MAX) || !is_at_most(a->contrast, DBL_MAX) ||
        !is_at_most(a->saturation, DBL_MAX) || !is_at_most(a->hue, 0.5))
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "brightness %g, contrast %g, saturation %g, hue %g: they must be at "
            "least 0, and hue at most 0.5",
            a->brightness, a->contrast, a->saturation, a->hue);
    if (!is_at_most(a->erasing, 1))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "erasing %g: a probability from 0 to 1 is expected", a->erasing);
    if (!is_at_most(a->mixup, DBL_MAX) || !is_at_most(a->cutmix, DBL_MAX))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "mixup %g, cutmix %g: both must be at least 0", a->mixup,
                    a->cutmix);
    return CONVOY_OK;
}

/* What samples are to each other, in training. */
static convoy_status check_batch(const struct loader_options *o)
{
    const int64_t batch = (int64_t)o->n_microbatches * o->microbatch;
    if (mixing_is_on(&o->augment) && o->microbatch < 2)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "mixup and cutmix mix the samples of a microbatch, which has one "
                    "only: make it larger, or switch them off");
    if (o->augment.repeats < 0 || batch % sampler_repeats(o->augment.repeats) != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d samples of each record in a batch of %lld: at least 1, and a "
                    "divisor of the batch",
                    o->augment.repeats, (long long)batch);
    return CONVOY_OK;
}

static convoy_status check_sample(const struct loader_options *o)
{
    const int *shape = o->shape;
    if (shape[0] < 1 || shape[0] > 3 || !is_side(shape[1], 1) || !is_side(shape[2], 1))
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "samples of %d x %d x %d (channels x height x width): 1 to 3 channels "
            "and sides of 1 to %d are possible",
            shape[0], shape[1], shape[2], MAX_SIDE);
    for (int i = 0; o->crops && i < o->n_crops; i++)
        if (!is_side(o->crops[i].side, 1) || o->crops[i].side > shape[1] ||
            o->crops[i].side > shape[2])
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "a crop of %d pixels, expected 1 to the largest, %d x %d",
                        o->crops[i].side, shape[1], shape[2]);
    if (!is_side(o->augment.pad, 0) || !is_side(o->resize, 0))
        return FAIL(CONVOY_ERROR_ARGUMENT, "pad %d and resize %d must lie in [0, %d]",
                    o->augment.pad, o->resize, MAX_SIDE);
    for (int c = 0; c < shape[0]; c++)
        if (!isfinite(o->mean[c]) || !isfinite(o->std[c]) || o->std[c] <= 0.0F)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "channel %d is normalised by mean %g and std %g: both must be "
                        "finite, and std above 0",
                        c, (double)o->mean[c], (double)o->std[c]);
    return CONVOY_OK;
}

static convoy_status check_records(const convoy_pack *pack,
                                   const struct loader_options *o)
{
    uint64_t n = convoy_pack_describe(pack)->n_records;
    uint64_t batch = (uint64_t)o->microbatch * (uint64_t)o->n_microbatches;
    if (n == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the pack holds no records",
                    pack_path(pack));
    if (!o->evaluate && n < batch)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s: the pack holds %llu records, a step needs %llu (batch.size): make "
            "batch.size smaller or pack more images",
            pack_path(pack), (unsigned long long)n, (unsigned long long)batch);
    if (o->evaluate && n > batch)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s: the pack holds %llu records, %d microbatches of %d cover %llu: "
            "use at least %llu microbatches",
            pack_path(pack), (unsigned long long)n, o->n_microbatches, o->microbatch,
            (unsigned long long)batch,
            (unsigned long long)((n - 1) / (uint64_t)o->microbatch + 1));
    return CONVOY_OK;
}

int loader_options_consumers(const struct loader_options *o)
{
    return o->consumers > 0 ? o->consumers : 1;
}

int loader_options_prefetch(const struct loader_options *o)
{
    if (o->prefetch > 0)
        return o->prefetch;
    int n = (PREFETCH_SAMPLES + o->microbatch - 1) / o->microbatch;
    n = n > o->consumers ? n : o->consumers;
    return n > MIN_PREFETCH ? n : MIN_PREFETCH;
}

convoy_status loader_options_check(const convoy_pack *pack,
                                   const struct loader_options *options)
{
    convoy_status status = check_range(options);
    if (status == CONVOY_OK)
        status = check_sample(options);
    if (status == CONVOY_OK)
        status = check_augment(&options->augment);
    if (status == CONVOY_OK && !options->evaluate)
        status = check_batch(options);
    if (status == CONVOY_OK)
        status = check_records(pack, options);
    return status;
}
