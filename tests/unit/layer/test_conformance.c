/* Layer kinds against their plain-loop references in double, forward and backward, for
 * all cases of layer_cases.c in all layouts in which src can come. A kind without a
 * case is told; unit/net/test_every_kind.c looks at its gradients all the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct dnn dnn;

/* One rig on a store of its own. */
struct setup {
    struct param_store store;
    struct layer_rig *rig;
};

static bool is_dropping(const struct layer_case *c)
{
    return strcmp(c->kind, "dropout") == 0 && c->a.p > 0;
}

static void set_up(struct setup *s, struct layer_sample *sample,
                   const struct rig_options *options)
{
    memset(s, 0, sizeof *s);
    rig_add_params(sample->c, &s->store);
    s->rig = rig_create(sample, options, &dnn, &s->store);
    if (options->training && is_dropping(sample->c))
        rig_draw_mask(s->rig);
}

static void tear_down(struct setup *s)
{
    rig_destroy(s->rig);
    param_store_free(&s->store);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Errors of n rounded additions grow like sqrt(n). */
static double tolerance(const struct reference *r)
{
    const struct shape *src = &r->src_shapes[0], *dst = &r->dst_shape;
    int64_t terms = larger(16, r->n * dst->h * dst->w);
    terms = larger(terms, r->n * src->h * src->w);
    terms = larger(terms, reference_param_values(r, 0) / dst->c);
    terms = larger(terms, reference_param_values(r, 0) / src->c);
    return 0x1p-23 * sqrt((double)terms);
}

/* Which comparison it is, for messages. */
struct place {
    const struct layer_rig *rig;
    const char *what;
    int i;
};

static void expect(const struct place *at, const float *found, const double *expected,
                   int64_t n)
{
    const struct layer_case *c = at->rig->sample->c;
    double error = rig_error(found, expected, n);
    double allowed = tolerance(&at->rig->sample->r);
    if (error <= allowed)
        return;
    print_error("%s (%s), src %s%s: %s %d is off by %.3g of its largest value, allowed "
                "%.3g\n",
                c->kind, c->name, src_layout_names[at->rig->options.layout],
                at->rig->options.overwrite ? ", overwriting" : "", at->what, at->i,
                error, allowed);
    fail();
}

static void expect_forward(const struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    expect(&(struct place){rig, "dst", 0}, rig_dst(rig), r->dst,
           reference_dst_values(r));
    const bool measures = rig->options.training && !rig->options.frozen;
    for (int i = 0; measures && i < rig_n_statistics(rig); i++)
        expect(&(struct place){rig, "statistic", i}, rig_statistic(rig, i),
               r->statistics[i], reference_statistic_values(r, i));
}

static void expect_diff_src(const struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    for (int i = 0; i < r->n_src; i++) {
        assert_non_null(rig_diff_src(rig, i));
        expect(&(struct place){rig, "diff_src", i}, rig_diff_src(rig, i),
               r->diff_src[i], reference_src_values(r, i));
    }
}

static void expect_grads(const struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    for (int i = 0; i < rig_n_params(rig); i++) {
        float *grad = rig_grad(rig, i);
        expect(&(struct place){rig, "gradient of parameter", i}, grad,
               r->diff_params[i], reference_param_values(r, i));
        free(grad);
    }
}

/* Calls check with every case that this training can run forward and backward, every
 * layout, and with and without overwriting. */
static void for_all(bool training, void (*check)(struct layer_sample *sample,
                                                 const struct rig_options *options))
{
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        struct layer_sample *sample = sample_create(c, training);
        for (int layout = 0; layout < N_SRC_LAYOUTS; layout++) {
            struct rig_options options = {.layout = (enum src_layout)layout,
                                          .training = training};
            check(sample, &options);
            options.overwrite = true;
            check(sample, &options);
        }
        sample_destroy(sample);
    }
}

/* Calls check with every case, training, sources in blocks. learning: only with kinds
 * that have parameters. */
static void for_each_case(bool learning, void (*check)(struct layer_sample *sample))
{
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        if (learning && !layer_find(c->kind)->params)
            continue;
        struct layer_sample *sample = sample_create(c, true);
        check(sample);
        sample_destroy(sample);
    }
}

static void every_kind_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; layer_kinds[i]; i++) {
        const struct layer_case *c = layer_cases;
        while (c->kind && strcmp(c->kind, layer_kinds[i]->about.name) != 0)
            c++;
        if (!c->kind)
            print_message("%s has no case in layer_cases.c: only "
                          "unit/net/test_every_kind.c looks at it\n",
                          layer_kinds[i]->about.name);
        assert_ptr_equal(layer_find(layer_kinds[i]->about.name), layer_kinds[i]);
    }
    assert_null(layer_find("no such kind"));
}

static void run(struct layer_rig *rig)
{
    rig_forward(rig);
    if (rig->options.training)
        rig_backward(rig);
}

static void expect_all(const struct layer_rig *rig)
{
    expect_forward(rig);
    if (!rig->options.training)
        return;
    expect_diff_src(rig);
    expect_grads(rig);
}

static void check_match(struct layer_sample *sample, const struct rig_options *options)
{
    struct setup s;
    set_up(&s, sample, options);
    run(s.rig);
    expect_all(s.rig);
    tear_down(&s);
}

static void training_matches_the_reference(void **state)
{
    (void)state;
    for_all(true, check_match);
}

static void evaluation_matches_the_reference(void **state)
{
    (void)state;
    for_all(false, check_match);
}

/* All that a rig's run wrote: dst, then each diff_src, then the gradients' arena. */
static unsigned char *take_results(const struct layer_rig *rig, size_t *n_bytes)
{
    const struct reference *r = &rig->sample->r;
    size_t n = (size_t)reference_dst_values(r) * sizeof(float) +
               rig->store->param_floats * sizeof(float);
    for (int i = 0; i < r->n_src; i++)
        n += (size_t)reference_src_values(r, i) * sizeof(float);
    unsigned char *all = calloc(n, 1), *to = all;
    assert_non_null(all);
    memcpy(to, rig_dst(rig), (size_t)reference_dst_values(r) * sizeof(float));
    to += (size_t)reference_dst_values(r) * sizeof(float);
    for (int i = 0; i < r->n_src; i++) {
        size_t part = (size_t)reference_src_values(r, i) * sizeof(float);
        memcpy(to, rig_diff_src(rig, i), part);
        to += part;
    }
    memcpy(to, rig->grads, rig->store->param_floats * sizeof(float));
    *n_bytes = n;
    return all;
}

static void check_repeats(struct layer_sample *sample)
{
    const struct rig_options options = {.layout = SRC_BLOCK_8, .training = true};
    unsigned char *results[3];
    size_t n_bytes = 0;
    struct setup s[2];
    for (int i = 0; i < 2; i++) {
        set_up(&s[i], sample, &options);
        run(s[i].rig);
        results[i] = take_results(s[i].rig, &n_bytes);
    }
    run(s[0].rig);
    results[2] = take_results(s[0].rig, &n_bytes);
    assert_memory_equal(results[0], results[1], n_bytes);
    assert_memory_equal(results[0], results[2], n_bytes);
    for (int i = 0; i < 3; i++)
        free(results[i]);
    for (int i = 0; i < 2; i++)
        tear_down(&s[i]);
}

static void running_again_and_building_again_give_the_same_bits(void **state)
{
    (void)state;
    for_each_case(false, check_repeats);
}

static void check_spoiled(struct layer_sample *sample)
{
    for (int layout = 0; layout < N_SRC_LAYOUTS; layout++) {
        const struct rig_options options = {
            .layout = (enum src_layout)layout, .training = true, .spoil = true};
        struct setup s;
        set_up(&s, sample, &options);
        run(s.rig);
        expect_diff_src(s.rig);
        expect_grads(s.rig);
        tear_down(&s);
    }
}

/* What the net takes for granted when it reuses memory. */
static void backward_reads_no_more_than_the_kind_says(void **state)
{
    (void)state;
    for_each_case(false, check_spoiled);
}

static void check_frozen(struct layer_sample *sample)
{
    const struct rig_options options = {
        .layout = SRC_BLOCK_8, .training = true, .frozen = true};
    struct setup s;
    sample->r.frozen = true;
    sample_compute(sample);
    set_up(&s, sample, &options);
    run(s.rig);
    expect_forward(s.rig);
    expect_diff_src(s.rig);
    for (size_t i = 0; i < s.store.param_floats; i++)
        assert_true(isnan(s.rig->grads[i])); /* as it was before */
    tear_down(&s);
}

static void frozen_layers_pass_gradients_and_make_none(void **state)
{
    (void)state;
    for_each_case(false, check_frozen);
}

static void check_first(struct layer_sample *sample)
{
    const struct rig_options options = {
        .layout = SRC_PLAIN, .training = true, .no_diff_src = true};
    struct setup s;
    set_up(&s, sample, &options);
    run(s.rig);
    expect_forward(s.rig);
    expect_grads(s.rig);
    tear_down(&s);
}

static void first_layers_make_gradients_of_parameters_alone(void **state)
{
    (void)state;
    for_each_case(true, check_first);
}

/* Two compilations on one store: the first fixes the parameters' layouts. */
static void check_shared(struct layer_sample *const samples[2],
                         const struct rig_options *first,
                         const struct rig_options *second)
{
    struct setup s;
    set_up(&s, samples[first->training], first);
    struct layer_sample *sample = samples[second->training];
    struct layer_rig *rig = rig_create(sample, second, &dnn, &s.store);
    if (second->training && is_dropping(sample->c))
        rig_draw_mask(rig);
    run(s.rig);
    expect_forward(s.rig);
    run(rig);
    expect_all(rig);
    rig_destroy(rig);
    tear_down(&s);
}

static void training_and_evaluation_share_parameters(void **state)
{
    (void)state;
    const struct rig_options blocked_training = {.layout = SRC_BLOCK_8,
                                                 .training = true};
    const struct rig_options plain_training = {.layout = SRC_PLAIN, .training = true};
    const struct rig_options blocked = {.layout = SRC_BLOCK_8},
                             plain = {.layout = SRC_PLAIN};
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        struct layer_sample *samples[2] = {sample_create(c, false),
                                           sample_create(c, true)};
        check_shared(samples, &blocked_training, &plain);
        check_shared(samples, &plain, &blocked_training);
        check_shared(samples, &plain_training, &blocked);
        check_shared(samples, &blocked, &plain_training);
        sample_destroy(samples[0]);
        sample_destroy(samples[1]);
    }
}

static void check_changed(struct layer_sample *sample)
{
    const struct rig_options options = {.layout = SRC_BLOCK_8, .training = true};
    struct reference *r = &sample->r;
    struct setup s;
    set_up(&s, sample, &options);
    run(s.rig);
    for (int p = 0; p < rig_n_params(s.rig); p++)
        for (int64_t i = 0; i < reference_param_values(r, p); i++)
            r->params[p][i] *= 2;
    sample_compute(sample);
    rig_set_params(s.rig);
    run(s.rig);
    expect_all(s.rig);
    tear_down(&s);
}

/* Reordered copies of parameters must follow them. */
static void changed_parameters_take_effect(void **state)
{
    (void)state;
    for_each_case(true, check_changed);
}

/* In the arena the sum of sizes is that of the values, or padding is not zero. */
static void check_padding(struct layer_sample *sample)
{
    const struct rig_options options = {.layout = SRC_BLOCK_8, .training = true};
    struct setup s;
    set_up(&s, sample, &options);
    run(s.rig);
    for (int i = 0; i < rig_n_params(s.rig); i++) {
        const struct stored_param *p = &s.store.params[i];
        const float *in_arena = s.rig->grads + p->offset;
        double kept = 0, all = 0;
        float *grad = rig_grad(s.rig, i);
        for (int64_t k = 0; k < param_store_n_values(&s.store, i); k++)
            kept += fabs((double)grad[k]);
        for (size_t k = 0; k < p->n_floats; k++)
            all += fabs((double)in_arena[k]);
        free(grad);
        assert_true(fabs(all - kept) <= 1e-12 * kept);
    }
    tear_down(&s);
}

static void padding_of_gradients_is_zero(void **state)
{
    (void)state;
    for_each_case(true, check_padding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_found_by_its_name),
        cmocka_unit_test(training_matches_the_reference),
        cmocka_unit_test(evaluation_matches_the_reference),
        cmocka_unit_test(running_again_and_building_again_give_the_same_bits),
        cmocka_unit_test(backward_reads_no_more_than_the_kind_says),
        cmocka_unit_test(frozen_layers_pass_gradients_and_make_none),
        cmocka_unit_test(first_layers_make_gradients_of_parameters_alone),
        cmocka_unit_test(training_and_evaluation_share_parameters),
        cmocka_unit_test(changed_parameters_take_effect),
        cmocka_unit_test(padding_of_gradients_is_zero),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
