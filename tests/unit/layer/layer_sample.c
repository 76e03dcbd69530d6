/* Random values for a case and the reference's results on them. Values stay clear of
 * what has no derivative: 0 before a ReLU, equal values in a max-pooling window. They
 * are rounded to float, so that both sides start from the same numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20 };

/* How far from a kink values stay. */
static const double margin = 1e-2;

void rig_ok(convoy_status status, const char *what, const char *file, int line)
{
    if (status == CONVOY_OK)
        return;
    print_error("%s: %s (%s)\n", what, convoy_status_text(), convoy_status_where());
    _fail(file, line);
}

static void fill_normal(double *values, int64_t n, double centre, uint64_t stream)
{
    struct rng rng = rng_stream(SEED, RNG_INIT, stream, 0);
    for (int64_t i = 0; i < n; i++) {
        double x = rng_normal(&rng, (uint64_t)i);
        values[i] = (double)(float)(centre + x + (x < 0 ? -margin : margin));
    }
}

/* All different by margin at least: a shuffled grid. */
static void fill_distinct(double *values, int64_t n, uint64_t stream)
{
    struct rng rng = rng_stream(SEED, RNG_PERMUTATION, stream, 0);
    uint32_t *order = calloc((size_t)n, sizeof *order);
    assert_non_null(order);
    rng_permutation(&rng, (uint32_t)n, order);
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)(float)(margin * (order[i] - 0.5 * (double)n));
    free(order);
}

/* Where the value before a fused ReLU is close to 0, its gradient is not looked at. */
static void avoid_kinks(struct reference *r)
{
    if (!r->relu)
        return;
    r->relu = false;
    reference_forward(r);
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        if (fabs(r->dst[i]) < margin)
            r->diff_dst[i] = 0;
    r->relu = true;
}

static void fill(struct layer_sample *sample)
{
    struct reference *r = &sample->r;
    uint64_t stream = hash_64(sample->c->name, strlen(sample->c->name));
    for (int i = 0; i < r->n_src; i++) {
        if (strcmp(sample->kind->about.name, "max_pool") == 0)
            fill_distinct(r->src[i], reference_src_values(r, i), stream++);
        else
            fill_normal(r->src[i], reference_src_values(r, i), 0, stream++);
    }
    fill_normal(r->diff_dst, reference_dst_values(r), 0, stream++);
    for (int i = 0; i < REFERENCE_MAX_PARAMS; i++)
        fill_normal(r->params[i], reference_param_values(r, i), 0, stream++);
    for (int i = 0; i < REFERENCE_MAX_STATISTICS; i++)
        fill_normal(r->running[i], reference_statistic_values(r, i), 0, stream++);
    for (int64_t i = 0; i < reference_statistic_values(r, 1); i++)
        r->running[1][i] = (double)(float)(0.5 + fabs(r->running[1][i]));
    for (int64_t i = 0; i < r->n; i++) {
        struct rng rng = rng_stream(SEED, RNG_INIT, stream, (uint64_t)i);
        bool none = sample->c->no_sample && i % 2 == 1;
        uint64_t classes = (uint64_t)r->src_shapes[0].c;
        sample->labels[i] = none ? -1 : (int32_t)(rng_word(&rng, 0) % classes);
    }
    for (int64_t i = 0; i < reference_src_values(r, 0); i++)
        sample->kept[i] = 1;
}

void sample_compute(struct layer_sample *sample)
{
    reference_forward(&sample->r);
    if (sample->r.training)
        reference_backward(&sample->r);
}

struct layer_sample *sample_create(const struct layer_case *c, bool training)
{
    struct layer_sample *sample = calloc(1, sizeof *sample);
    assert_non_null(sample);
    struct reference *r = &sample->r;
    sample->c = c;
    sample->kind = layer_find(c->kind);
    assert_non_null(sample->kind);
    r->kind = reference_find(c->kind);
    if (!r->kind) {
        print_error("%s has no reference: write one in tests/reference\n", c->kind);
        fail();
    }
    r->a = c->a;
    r->relu = c->relu;
    r->n = c->n;
    r->n_src = c->n_src;
    r->training = training;
    memcpy(r->src_shapes, c->src, sizeof r->src_shapes);
    r->dst_shape = c->dst;
    assert_true(reference_create(r));
    sample->labels = calloc((size_t)c->n, sizeof *sample->labels);
    sample->kept = calloc((size_t)reference_src_values(r, 0), 1);
    assert_true(sample->labels && sample->kept);
    r->labels = sample->labels;
    r->kept = sample->kept;
    fill(sample);
    avoid_kinks(r);
    sample_compute(sample);
    return sample;
}

void sample_destroy(struct layer_sample *sample)
{
    if (!sample)
        return;
    reference_free(&sample->r);
    free(sample->labels);
    free(sample->kept);
    free(sample);
}
