/* Primitives alone: each kind runs within its memory, layouts are chosen anew, and what
 * does other work is told apart. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "onednn/alone.h"

#include <string.h>

static struct dnn dnn;

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        print_error("%s (%s)\n", convoy_status_text(), convoy_status_where());
    assert_int_equal(status, CONVOY_OK);
}

/* A convolution of 3 x 3 on src [2, 16, 9, 9], or max pooling of as large a window;
 * all row-major. */
struct shapes {
    struct dnn_md src, weights, bias, dst;
    struct dnn_window window;
};

static void make_shapes(struct shapes *s, int stride)
{
    const int64_t out = (9 - 3 + 2) / stride + 1, src[] = {2, 16, 9, 9},
                  dst[] = {2, 16, out, out}, weights[] = {16, 16, 3, 3}, bias[] = {16};
    memset(s, 0, sizeof *s);
    ok(dnn_md_make_plain(4, src, dnnl_f32, &s->src));
    ok(dnn_md_make_plain(4, weights, dnnl_f32, &s->weights));
    ok(dnn_md_make_plain(1, bias, dnnl_f32, &s->bias));
    ok(dnn_md_make_plain(4, dst, dnnl_f32, &s->dst));
    for (int i = 0; i < 2; i++) {
        s->window.kernel[i] = 3;
        s->window.stride[i] = stride;
        s->window.dilation[i] = s->window.pad_begin[i] = s->window.pad_end[i] = 1;
    }
}

static void free_shapes(struct shapes *s)
{
    dnn_md_free(&s->src);
    dnn_md_free(&s->weights);
    dnn_md_free(&s->bias);
    dnn_md_free(&s->dst);
}

static struct dnn_operands operands_of(const struct shapes *s, bool weights)
{
    return (struct dnn_operands){.src = dnn_md_ref(&s->src),
                                 .weights = weights ? dnn_md_ref(&s->weights) : NULL,
                                 .bias = weights ? dnn_md_ref(&s->bias) : NULL,
                                 .dst = dnn_md_ref(&s->dst)};
}

static dnnl_primitive_desc_t convolution(enum dnn_pass pass, int stride)
{
    struct shapes s;
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    make_shapes(&s, stride);
    const struct dnn_operands operands = operands_of(&s, true);
    ok(dnn_convolution(&dnn, DNN_FORWARD_TRAINING, &operands, &s.window, NULL, &hint));
    ok(dnn_convolution(&dnn, pass, &operands, &s.window, hint, &pd));
    dnnl_primitive_desc_destroy(hint);
    free_shapes(&s);
    return pd;
}

static dnnl_primitive_desc_t pooling(bool backward, int stride)
{
    struct shapes s;
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    make_shapes(&s, stride);
    const struct dnn_operands operands = operands_of(&s, false);
    ok(dnn_pooling(&dnn, DNN_FORWARD_TRAINING, dnnl_pooling_max, &operands, &s.window,
                   NULL, &forward));
    if (backward) {
        ok(dnn_pooling(&dnn, DNN_BACKWARD_DATA, dnnl_pooling_max, &operands, &s.window,
                       forward, &pd));
        dnnl_primitive_desc_destroy(forward);
    }
    free_shapes(&s);
    return backward ? pd : forward;
}

/* Of src's shape: normalizations, elementwise functions, additions, concats. */
enum pointwise { BATCH_NORM, LRN_3, LRN_5, RELU, TANH, ADD, CONCAT };

static void describe(enum pointwise what, enum dnn_pass pass, dnn_cmd md,
                     dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    const struct dnn_lrn_parameters lrn = {what == LRN_3 ? 3 : 5, 1e-4F, 0.75F, 1};
    const int64_t joined[] = {2, 32, 9, 9};
    struct dnn_md dst = {0};
    if (what == BATCH_NORM) {
        ok(dnn_batch_norm(&dnn, pass, md, 1e-5F, true, hint, pd));
    } else if (what == LRN_3 || what == LRN_5) {
        ok(dnn_lrn(&dnn, pass, md, &lrn, hint, pd));
    } else if (what == RELU || what == TANH) {
        ok(dnn_eltwise(&dnn, pass,
                       what == RELU ? dnnl_eltwise_relu_use_dst_for_bwd
                                    : dnnl_eltwise_tanh_use_dst_for_bwd,
                       md, hint, pd));
    } else if (what == ADD) {
        ok(dnn_add(&dnn, md, md, md, false, pd));
    } else {
        ok(dnn_md_make_plain(4, joined, dnnl_f32, &dst));
        ok(dnn_concat(&dnn, 2, (const dnn_cmd[]){md, md}, dnn_md_ref(&dst), pd));
        dnn_md_free(&dst);
    }
}

static dnnl_primitive_desc_t pointwise(enum pointwise what, bool backward)
{
    struct shapes s;
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    make_shapes(&s, 1);
    describe(what, DNN_FORWARD_TRAINING, dnn_md_ref(&s.src), NULL, &forward);
    if (backward) {
        describe(what, DNN_BACKWARD_WEIGHTS, dnn_md_ref(&s.src), forward, &pd);
        dnnl_primitive_desc_destroy(forward);
    }
    free_shapes(&s);
    return backward ? pd : forward;
}

static dnnl_primitive_desc_t inner_product(enum dnn_pass pass)
{
    const int64_t src_dims[] = {4, 24}, weight_dims[] = {8, 24}, dst_dims[] = {4, 8};
    struct dnn_md src = {0}, weights = {0}, dst = {0};
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    ok(dnn_md_make_plain(2, src_dims, dnnl_f32, &src));
    ok(dnn_md_make_plain(2, weight_dims, dnnl_f32, &weights));
    ok(dnn_md_make_plain(2, dst_dims, dnnl_f32, &dst));
    const struct dnn_operands operands = {.src = dnn_md_ref(&src),
                                          .weights = dnn_md_ref(&weights),
                                          .dst = dnn_md_ref(&dst)};
    ok(dnn_inner_product(&dnn, DNN_FORWARD_TRAINING, &operands, NULL, &hint));
    ok(dnn_inner_product(&dnn, pass, &operands, hint, &pd));
    dnnl_primitive_desc_destroy(hint);
    dnn_md_free(&src);
    dnn_md_free(&weights);
    dnn_md_free(&dst);
    return pd;
}

/* Runs the best of pd, which is destroyed, between two guards. */
static void run(dnnl_primitive_desc_t pd)
{
    enum { GUARD = 4096 };
    const struct dnn_work work = dnn_work_of(pd);
    dnnl_primitive_desc_t best = NULL;
    dnnl_primitive_t primitive = NULL;
    struct alone_time time = {0};
    char *memory = NULL, untouched[GUARD];
    ok(alone_best(&dnn, pd, &best));
    assert_int_equal(dnn_work_of(best).kind, work.kind);
    assert_int_equal(dnn_work_of(best).prop_kind, work.prop_kind);
    const size_t bytes = alone_bytes(best);
    ok(mem_alloc(bytes + (size_t)2 * GUARD, (void **)&memory));
    memset(untouched, 7, sizeof untouched);
    memset(memory, 7, bytes + (size_t)2 * GUARD);
    assert_int_equal(dnnl_primitive_create(&primitive, best), dnnl_success);
    ok(alone_run(&dnn, best, primitive, memory + GUARD, &time));
    assert_true(time.seconds > 0);
    assert_true(time.cpu_seconds > 0);
    assert_memory_equal(memory, untouched, GUARD);
    assert_memory_equal(memory + GUARD + bytes, untouched, GUARD);
    /* Nothing of the tensors is left as it was, but for padding between them. */
    assert_memory_not_equal(memory + GUARD, untouched, GUARD / 4);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(best);
    dnnl_primitive_desc_destroy(pd);
    mem_free(memory);
}

static void each_kind_runs_within_its_memory(void **state)
{
    (void)state;
    const enum dnn_pass passes[] = {DNN_FORWARD_TRAINING, DNN_BACKWARD_DATA,
                                    DNN_BACKWARD_WEIGHTS};
    for (int i = 0; i < 3; i++) {
        run(convolution(passes[i], 1));
        run(convolution(passes[i], 2));
        run(inner_product(passes[i]));
    }
    for (int backward = 0; backward < 2; backward++) {
        run(pooling(backward, 2));
        for (int what = BATCH_NORM; what < ADD; what++)
            run(pointwise((enum pointwise)what, backward));
    }
    run(pointwise(ADD, false));
    run(pointwise(CONCAT, false));
}

/* Layouts change, dims do not. */
static void a_convolution_chooses_its_layouts(void **state)
{
    (void)state;
    const enum dnn_pass passes[] = {DNN_FORWARD_TRAINING, DNN_BACKWARD_DATA,
                                    DNN_BACKWARD_WEIGHTS};
    const dnnl_query_t what[] = {dnnl_query_src_md, dnnl_query_diff_src_md,
                                 dnnl_query_src_md};
    for (int i = 0; i < 3; i++) {
        dnnl_primitive_desc_t pd = convolution(passes[i], 2), best = NULL;
        int64_t dims[DNN_MAX_DIMS], found[DNN_MAX_DIMS];
        ok(alone_best(&dnn, pd, &best));
        dnn_cmd before = dnn_chosen(pd, what[i], 0),
                after = dnn_chosen(best, what[i], 0);
        assert_int_equal(dnn_md_dims(before, dims), dnn_md_dims(after, found));
        assert_memory_equal(dims, found, 4 * sizeof *dims);
        assert_true(dnn_md_is_plain(before));
        /* Every instruction set has kernels for blocks of channels, or last. */
        assert_false(dnn_md_is_plain(after));
        assert_false(dnn_is_reference(best));
        assert_int_equal(dnn_work_of(best).window.stride[1], 2);
        dnnl_primitive_desc_destroy(best);
        dnnl_primitive_desc_destroy(pd);
    }
}

static void expect_same(dnnl_primitive_desc_t a, dnnl_primitive_desc_t b, bool same)
{
    assert_int_equal(alone_same(a, b), same);
    dnnl_primitive_desc_destroy(a);
    dnnl_primitive_desc_destroy(b);
}

static void other_work_is_told_apart(void **state)
{
    (void)state;
    const enum dnn_pass forward = DNN_FORWARD_TRAINING;
    expect_same(convolution(forward, 1), convolution(forward, 1), true);
    expect_same(convolution(forward, 1), convolution(forward, 2), false);
    expect_same(convolution(DNN_BACKWARD_DATA, 1), convolution(forward, 1), false);
    expect_same(pooling(true, 2), pooling(true, 2), true);
    expect_same(pooling(true, 2), pooling(false, 2), false);
    expect_same(pointwise(LRN_5, false), pointwise(LRN_5, false), true);
    expect_same(pointwise(LRN_5, false), pointwise(LRN_3, false), false);
    expect_same(pointwise(RELU, true), pointwise(TANH, true), false);
    expect_same(pointwise(RELU, true), pointwise(RELU, false), false);
    expect_same(pointwise(ADD, false), pointwise(RELU, false), false);
    expect_same(inner_product(forward), inner_product(forward), true);
}

static int set_up(void **state)
{
    (void)state;
    ok(dnn_create(&dnn));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dnn_destroy(&dnn);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_runs_within_its_memory),
        cmocka_unit_test(a_convolution_chooses_its_layouts),
        cmocka_unit_test(other_work_is_told_apart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
