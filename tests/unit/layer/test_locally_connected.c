/* Locally connected layers beside the convolutions that they are where all kernels are
 * alike, and their bits with any number of threads. test_conformance.c compares them
 * with the reference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { OUT = 6, PLACES = 4 * 5, MAX_THREADS = 5 };

/* A name gives the values of src and diff_dst: the two get the same. */
#define CASE(what)                                                                     \
    {                                                                                  \
        .kind = (what), .name = "alike", .n = 3, .n_src = 1,                           \
        .src = {{.c = 4, .h = 8, .w = 7}}, .dst = {.c = OUT, .h = 4, .w = 5}, .a = {   \
            .out = OUT,                                                                \
            .kernel = {3, 3},                                                          \
            .stride = {2, 1},                                                          \
            .pad = {1, 1},                                                             \
            .dilation = {1, 2},                                                        \
            .groups = 2,                                                               \
            .bias = true                                                               \
        }                                                                              \
    }

static const struct layer_case conv = CASE("conv"), local = CASE("locally_connected");
static struct dnn dnn;

/* A rig on a store of its own. */
struct setup {
    struct param_store store;
    struct layer_sample *sample;
    struct layer_rig *rig;
};

static void set_up(struct setup *s)
{
    const struct rig_options options = {.layout = SRC_BLOCK_8, .training = true};
    rig_add_params(&local, &s->store);
    s->rig = rig_create(s->sample, &options, &dnn, &s->store);
}

static void tear_down(struct setup *s)
{
    rig_destroy(s->rig);
    param_store_free(&s->store);
    sample_destroy(s->sample);
}

/* Every place gets the values of the convolution's parameter. */
static void spread(const struct layer_sample *from, struct layer_sample *to, int param)
{
    const int64_t n = reference_param_values(&from->r, param);
    assert_int_equal(reference_param_values(&to->r, param), n * PLACES);
    for (int64_t k = 0; k < n * PLACES; k++)
        to->r.params[param][k] = from->r.params[param][k / PLACES];
}

static void expect_near(const float *found, const double *expected, int64_t n)
{
    const double error = rig_error(found, expected, n);
    if (!(error < 1e-5))
        fail_msg("off by %g of the largest value", error);
}

static void expect_sums(const struct setup *s, const struct layer_sample *shared,
                        int param)
{
    const int64_t n = reference_param_values(&shared->r, param);
    float *grad = rig_grad(s->rig, param), *sums = calloc((size_t)n, sizeof *sums);
    assert_non_null(sums);
    for (int64_t k = 0; k < n * PLACES; k++)
        sums[k / PLACES] += grad[k];
    expect_near(sums, shared->r.diff_params[param], n);
    free(grad);
    free(sums);
}

static void kernels_that_are_alike_make_a_convolution(void **state)
{
    struct setup s = {.sample = sample_create(&local, true)};
    struct layer_sample *shared = sample_create(&conv, true);
    const struct reference *r = &shared->r;
    (void)state;
    assert_memory_equal(r->src[0], s.sample->r.src[0],
                        (size_t)reference_src_values(r, 0) * sizeof(double));
    for (int param = 0; param < 2; param++)
        spread(shared, s.sample, param);
    set_up(&s);
    rig_forward(s.rig);
    rig_backward(s.rig);
    expect_near(rig_dst(s.rig), r->dst, reference_dst_values(r));
    expect_near(rig_diff_src(s.rig, 0), r->diff_src[0], reference_src_values(r, 0));
    for (int param = 0; param < 2; param++)
        expect_sums(&s, shared, param);
    sample_destroy(shared);
    tear_down(&s);
}

/* dst, diff_src and the gradients, of a run by so many threads. */
static float *results(struct setup *s, int threads, size_t *n)
{
    const size_t dst = (size_t)reference_dst_values(&s->sample->r),
                 src = (size_t)reference_src_values(&s->sample->r, 0);
    omp_set_num_threads(threads);
    rig_forward(s->rig);
    rig_backward(s->rig);
    *n = dst + src + s->store.param_floats;
    float *all = calloc(*n, sizeof *all);
    assert_non_null(all);
    memcpy(all, rig_dst(s->rig), dst * sizeof *all);
    memcpy(all + dst, rig_diff_src(s->rig, 0), src * sizeof *all);
    memcpy(all + dst + src, s->rig->grads, s->store.param_floats * sizeof *all);
    return all;
}

static void bits_do_not_depend_on_threads(void **state)
{
    struct setup s = {.sample = sample_create(&local, true)};
    const int before = omp_get_max_threads();
    size_t n = 0;
    (void)state;
    set_up(&s);
    float *first = results(&s, 1, &n);
    for (int threads = 2; threads <= MAX_THREADS; threads++) {
        float *other = results(&s, threads, &n);
        assert_memory_equal(other, first, n * sizeof *first);
        free(other);
    }
    free(first);
    omp_set_num_threads(before);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_that_are_alike_make_a_convolution),
        cmocka_unit_test(bits_do_not_depend_on_threads),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
