/* Programs: primitives and calls in order, copies between layouts, memory that the
 * caller binds, views, and what the profile counts. The planner is tested in
 * test_plan.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onednn/primitive.h"
#include "onednn/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tensors here are [2, 3, 2, 2]: 3 channels, so blocks of 8 have padding. */
enum { N = 2, C = 3, H = 2, W = 2, VALUES = N * C * H * W };

static struct dnn dnn;
static const struct run_info no_info = {0};

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        print_error("%s (%s)\n", convoy_status_text(), convoy_status_where());
    assert_int_equal(status, CONVOY_OK);
}

static struct dnn_md layout(dnnl_format_tag_t tag)
{
    const int64_t dims[] = {N, C, H, W};
    struct dnn_md md = {0};
    ok(dnn_md_make(4, dims, dnnl_f32, tag, &md));
    return md;
}

static tensor add_tensor(struct program *program, dnnl_format_tag_t tag, enum home home,
                         size_t offset)
{
    struct dnn_md md = layout(tag);
    tensor made = NO_TENSOR;
    ok(program_tensor(program, dnn_md_ref(&md), home, offset, &made));
    dnn_md_free(&md);
    return made;
}

static tensor want(struct program *program, enum phase phase, tensor t,
                   dnnl_format_tag_t tag)
{
    struct dnn_md md = layout(tag);
    tensor wanted = NO_TENSOR;
    ok(program_want(program, phase, t, dnn_md_ref(&md), &wanted));
    dnn_md_free(&md);
    return wanted;
}

/* dst = max(0, src) as a primitive, in src's layout. */
static tensor add_relu(struct program *program, enum phase phase, tensor src)
{
    dnnl_primitive_desc_t pd = NULL;
    tensor dst = NO_TENSOR;
    ok(dnn_eltwise(program_dnn(program), DNN_FORWARD_INFERENCE, dnnl_eltwise_relu,
                   program_md(program, src), NULL, &pd));
    ok(program_adopt(program, pd));
    ok(program_tensor(program, program_md(program, src), HOME_ARENA, 0, &dst));
    const struct program_arg args[] = {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}};
    ok(program_emit(program, phase, pd, 2, args));
    return dst;
}

static void fill(float values[VALUES], float first)
{
    for (int i = 0; i < VALUES; i++)
        values[i] = first + (float)i;
}

static float relu(float x)
{
    return x > 0 ? x : 0;
}

static void bound_memory_can_change_between_runs(void **state)
{
    (void)state;
    float images[2][VALUES];
    struct program *program = NULL;
    fill(images[0], -10);
    fill(images[1], -3);
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    tensor blocked = want(program, PHASE_FORWARD, src, dnnl_aBcd8b);
    tensor dst = want(program, PHASE_FORWARD, add_relu(program, PHASE_FORWARD, blocked),
                      dnnl_abcd);
    program_keep(program, dst);
    ok(program_plan(program));
    for (int round = 0; round < 4; round++) {
        float *now = images[round % 2];
        ok(program_bind(program, HOME_IMAGES, now));
        assert_ptr_equal(program_data(program, src), now);
        ok(program_run(program, PHASE_FORWARD, &no_info));
        for (int i = 0; i < VALUES; i++)
            assert_true(((float *)program_data(program, dst))[i] == relu(now[i]));
    }
    program_destroy(program);
}

static void offsets_count_from_the_base_of_the_home(void **state)
{
    (void)state;
    float *values = calloc((size_t)2 * VALUES, sizeof *values);
    float grads[2 * VALUES] = {0};
    struct program *program = NULL;
    assert_non_null(values);
    fill(values, 0);
    fill(values + VALUES, 100);
    ok(program_create(&dnn, &program));
    tensor first = add_tensor(program, dnnl_abcd, HOME_PARAMS, 0);
    tensor second = add_tensor(program, dnnl_abcd, HOME_PARAMS, VALUES);
    tensor to = add_tensor(program, dnnl_abcd, HOME_GRADS, VALUES);
    ok(program_reorder(program, PHASE_BACKWARD, second, to));
    ok(program_plan(program));
    ok(program_bind(program, HOME_PARAMS, values));
    ok(program_bind(program, HOME_GRADS, grads));
    assert_ptr_equal(program_data(program, first), values);
    assert_ptr_equal(program_data(program, second), values + VALUES);
    ok(program_run(program, PHASE_BACKWARD, &no_info));
    assert_memory_equal(grads + VALUES, values + VALUES, VALUES * sizeof(float));
    assert_true(grads[VALUES - 1] == 0);
    program_destroy(program);
    free(values);
}

static void wanting_twice_copies_once(void **state)
{
    (void)state;
    struct program *program = NULL;
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    assert_int_equal(want(program, PHASE_FORWARD, src, dnnl_abcd), src);
    assert_int_equal(program_n_ops(program), 0);
    tensor blocked = want(program, PHASE_FORWARD, src, dnnl_aBcd8b);
    assert_int_not_equal(blocked, src);
    assert_int_equal(program_n_ops(program), 1);
    assert_int_equal(want(program, PHASE_FORWARD, src, dnnl_aBcd8b), blocked);
    assert_int_equal(program_n_ops(program), 1);
    assert_int_not_equal(want(program, PHASE_FORWARD, src, dnnl_acdb), blocked);
    assert_int_equal(program_n_ops(program), 2);
    /* What is prepared after a change of the parameters serves both passes. */
    tensor weights = add_tensor(program, dnnl_abcd, HOME_PARAMS, 0);
    tensor ready = want(program, PHASE_WEIGHTS, weights, dnnl_aBcd8b);
    assert_int_equal(want(program, PHASE_FORWARD, weights, dnnl_aBcd8b), ready);
    assert_int_equal(want(program, PHASE_BACKWARD, weights, dnnl_aBcd8b), ready);
    assert_int_equal(add_tensor(program, dnnl_abcd, HOME_PARAMS, 0), weights);
    const tensor other = add_tensor(program, dnnl_abcd, HOME_PARAMS, VALUES);
    tensor view = NO_TENSOR;
    assert_int_not_equal(other, weights);
    ok(program_view(program, other, program_md(program, weights), &view));
    assert_int_not_equal(view, weights);
    assert_int_equal(program_root(program, view), other);
    assert_int_equal(program_root(program, weights), weights);
    assert_int_equal(program_n_ops(program), 3);
    program_destroy(program);
}

static void what_the_weights_phase_prepares_lasts(void **state)
{
    (void)state;
    float params[VALUES], images[VALUES];
    struct program *program = NULL;
    fill(params, 50);
    fill(images, -10);
    ok(program_create(&dnn, &program));
    tensor weights = add_tensor(program, dnnl_abcd, HOME_PARAMS, 0);
    tensor ready = want(program, PHASE_WEIGHTS, weights, dnnl_acdb);
    tensor t = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    for (int i = 0; i < 6; i++)
        t = add_relu(program, i < 3 ? PHASE_FORWARD : PHASE_BACKWARD, t);
    tensor back = want(program, PHASE_BACKWARD, ready, dnnl_abcd);
    program_keep(program, back);
    ok(program_plan(program));
    ok(program_bind(program, HOME_PARAMS, params));
    ok(program_bind(program, HOME_IMAGES, images));
    ok(program_run(program, PHASE_WEIGHTS, &no_info));
    for (int round = 0; round < 3; round++) {
        ok(program_run(program, PHASE_FORWARD, &no_info));
        ok(program_run(program, PHASE_BACKWARD, &no_info));
        assert_memory_equal(program_data(program, back), params, sizeof params);
    }
    /* A change shows after the next PHASE_WEIGHTS, not before. */
    fill(params, 70);
    ok(program_run(program, PHASE_BACKWARD, &no_info));
    assert_true(((float *)program_data(program, back))[0] == 50);
    ok(program_run(program, PHASE_WEIGHTS, &no_info));
    ok(program_run(program, PHASE_BACKWARD, &no_info));
    assert_memory_equal(program_data(program, back), params, sizeof params);
    program_destroy(program);
}

/* A view of channels [1, 3) is copied out of, and another written through. */
static void views_share_memory_and_life(void **state)
{
    (void)state;
    float images[2 * VALUES];
    const int64_t part_dims[] = {N, 2, H, W}, part_at[] = {0, 1, 0, 0};
    struct dnn_md md = layout(dnnl_abcd), part = {0}, plain = {0};
    struct program *program = NULL;
    tensor view = NO_TENSOR, cut = NO_TENSOR, view_of_view = NO_TENSOR;
    fill(images, 1);
    fill(images + VALUES, 1000);
    ok(dnn_md_submemory(dnn_md_ref(&md), part_dims, part_at, &part));
    ok(dnn_md_make_plain(4, part_dims, dnnl_f32, &plain));
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    tensor copy = add_relu(program, PHASE_FORWARD, src);
    ok(program_view(program, copy, dnn_md_ref(&part), &view));
    ok(program_view(program, view, dnn_md_ref(&md), &view_of_view));
    /* Other tensors come and go; only the view names copy's memory again. */
    tensor other = add_tensor(program, dnnl_abcd, HOME_IMAGES, VALUES * sizeof(float));
    for (int i = 0; i < 4; i++)
        other = add_relu(program, PHASE_FORWARD, other);
    ok(program_tensor(program, dnn_md_ref(&plain), HOME_ARENA, 0, &cut));
    ok(program_reorder(program, PHASE_BACKWARD, view, cut));
    program_keep(program, cut);
    ok(program_plan(program));
    ok(program_bind(program, HOME_IMAGES, images));
    assert_ptr_equal(program_data(program, view), program_data(program, copy));
    assert_ptr_equal(program_data(program, view_of_view), program_data(program, copy));
    ok(program_run(program, PHASE_FORWARD, &no_info));
    memset(images, 0, sizeof images);
    ok(program_run(program, PHASE_BACKWARD, &no_info));
    const float *values = program_data(program, cut);
    for (int i = 0; i < N * 2 * H * W; i++) {
        int sample = i / 8, from = sample * 12 + 4 + i % 8;
        assert_true(values[i] == (float)(1 + from));
    }
    program_destroy(program);
    dnn_md_free(&md);
    dnn_md_free(&part);
    dnn_md_free(&plain);
}

/* Adds its number to a list of what ran, and what it was told. */
struct note {
    int *list;
    int *n_notes;
    int number;
    uint64_t *step;
};

static void take_note(const void *context, const struct run_info *info,
                      void *const *data)
{
    const struct note *note = context;
    note->list[(*note->n_notes)++] = note->number;
    *note->step = info->step;
    ((float *)data[0])[0] = (float)note->number;
}

static void ops_of_a_phase_run_in_the_order_given(void **state)
{
    (void)state;
    int list[16] = {0}, n_notes = 0;
    uint64_t step = 0;
    const enum phase phases[] = {PHASE_BACKWARD, PHASE_FORWARD,  PHASE_WEIGHTS,
                                 PHASE_FORWARD,  PHASE_BACKWARD, PHASE_FORWARD};
    const int expected[] = {1, 3, 5, 0, 4, 2};
    struct program *program = NULL;
    ok(program_create(&dnn, &program));
    tensor t = add_tensor(program, dnnl_abcd, HOME_PREPARED, 0);
    for (int i = 0; i < 6; i++) {
        struct note note = {list, &n_notes, i, &step};
        ok(program_call(program, phases[i], take_note, &note, sizeof note, 1, &t));
        memset(&note, 0, sizeof note); /* the context was copied */
    }
    ok(program_plan(program));
    ok(program_run(program, PHASE_FORWARD, &(struct run_info){.step = 17}));
    ok(program_run(program, PHASE_BACKWARD, &no_info));
    ok(program_run(program, PHASE_WEIGHTS, &(struct run_info){.step = 17}));
    assert_int_equal(n_notes, 6);
    assert_memory_equal(list, expected, sizeof expected);
    assert_int_equal(step, 17);
    assert_true(((float *)program_data(program, t))[0] == 2);
    program_destroy(program);
}

static void the_profile_counts_runs_while_it_is_on(void **state)
{
    (void)state;
    float images[VALUES];
    struct program *program = NULL;
    fill(images, -10);
    ok(program_create(&dnn, &program));
    program_label(program, "conv1", "relu");
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    add_relu(program, PHASE_FORWARD, want(program, PHASE_FORWARD, src, dnnl_aBcd8b));
    program_label(program, "drop", "dropout");
    int list[16], n_notes = 0;
    uint64_t step = 0;
    struct note note = {list, &n_notes, 0, &step};
    tensor t = add_tensor(program, dnnl_abcd, HOME_PREPARED, 0);
    ok(program_call(program, PHASE_BACKWARD, take_note, &note, sizeof note, 1, &t));
    ok(program_plan(program));
    ok(program_bind(program, HOME_IMAGES, images));
    ok(program_run(program, PHASE_FORWARD, &no_info));
    assert_int_equal(program_n_ops(program), 3);
    assert_int_equal(program_cost(program, 0).runs, 0);
    program_time(program, true);
    for (int i = 0; i < 3; i++)
        ok(program_run(program, PHASE_FORWARD, &no_info));
    const char *const kinds[] = {"reorder", "relu", "dropout"};
    const char *const layers[] = {"conv1", "conv1", "drop"};
    for (int op = 0; op < 3; op++) {
        struct program_cost cost = program_cost(program, op);
        assert_string_equal(cost.kind, kinds[op]);
        assert_string_equal(cost.layer, layers[op]);
        assert_int_equal(cost.phase, op < 2 ? PHASE_FORWARD : PHASE_BACKWARD);
        assert_int_equal(cost.primitive, op < 2);
        assert_int_equal(cost.runs, op < 2 ? 3 : 0);
        assert_true(op == 2 ? cost.seconds == 0 : cost.seconds >= 0);
    }
    program_time(program, false);
    ok(program_run(program, PHASE_FORWARD, &no_info));
    assert_int_equal(program_cost(program, 0).runs, 0);
    program_destroy(program);
}

/* oneDNN borrows descriptors for as long as tensors are added. */
static void descriptors_stay_where_they_are(void **state)
{
    (void)state;
    struct program *program = NULL;
    ok(program_create(&dnn, &program));
    tensor first = add_tensor(program, dnnl_aBcd8b, HOME_ARENA, 0);
    dnn_cmd md = program_md(program, first);
    for (int i = 0; i < 500; i++) {
        tensor next = NO_TENSOR;
        ok(program_tensor(program, md, HOME_ARENA, 0, &next));
        assert_true(dnn_md_same(program_md(program, next), md));
    }
    assert_true(program_md(program, first) == md);
    program_destroy(program);
}

static void unplanned_programs_can_be_destroyed(void **state)
{
    (void)state;
    struct program *program = NULL;
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    add_relu(program, PHASE_FORWARD, want(program, PHASE_FORWARD, src, dnnl_aBcd8b));
    program_destroy(program);
    program_destroy(NULL);
}

/* data: a, b. b = 1 / a of the first value, else 0. */
static void invert_first(const void *context, const struct run_info *info,
                         void *const *data)
{
    const float *a = data[0];
    float *b = data[1];
    (void)context;
    (void)info;
    memset(b, 0, VALUES * sizeof *b);
    b[0] = 1 / a[0];
}

static void the_first_value_that_is_not_finite_is_found(void **state)
{
    (void)state;
    float images[VALUES];
    struct program *program = NULL;
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    tensor inverse = add_tensor(program, dnnl_abcd, HOME_ARENA, 0);
    const tensor both[] = {src, inverse};
    add_relu(program, PHASE_FORWARD, want(program, PHASE_FORWARD, src, dnnl_aBcd8b));
    ok(program_call(program, PHASE_FORWARD, invert_first, NULL, 0, 2, both));
    tensor last = add_relu(program, PHASE_FORWARD, inverse);
    ok(program_call(
        program, PHASE_BACKWARD, invert_first, NULL, 0, 2,
        (const tensor[]){last, add_tensor(program, dnnl_abcd, HOME_ARENA, 0)}));
    ok(program_plan(program));
    ok(program_bind(program, HOME_IMAGES, images));
    /* The first image: any; 1 / it is infinite; it is no number; it is negative, so
     * that relu makes it 0. */
    const float firsts[] = {1, 0, NAN, -1};
    const int forward[] = {NO_OP, 2, 0, NO_OP}, backward[] = {NO_OP, 4, 4, 4};
    for (int i = 0; i < 4; i++) {
        int op = 99;
        fill(images, 1);
        images[0] = firsts[i];
        ok(program_find_nonfinite(program, PHASE_FORWARD, &no_info, &op));
        assert_int_equal(op, forward[i]);
        if (forward[i] == NO_OP) {
            ok(program_find_nonfinite(program, PHASE_BACKWARD, &no_info, &op));
            assert_int_equal(op, backward[i]);
        }
    }
    program_destroy(program);
}

static void what_cannot_be_copied_is_an_error(void **state)
{
    (void)state;
    const int64_t dims[] = {N, C + 1, H, W};
    struct program *program = NULL;
    struct dnn_md md = {0};
    tensor other = NO_TENSOR;
    ok(program_create(&dnn, &program));
    tensor src = add_tensor(program, dnnl_abcd, HOME_IMAGES, 0);
    ok(dnn_md_make_plain(4, dims, dnnl_f32, &md));
    ok(program_tensor(program, dnn_md_ref(&md), HOME_ARENA, 0, &other));
    assert_int_not_equal(program_reorder(program, PHASE_FORWARD, src, other),
                         CONVOY_OK);
    assert_non_null(strstr(convoy_status_text(), "reorder"));
    assert_int_equal(program_n_ops(program), 0);
    program_destroy(program);
    dnn_md_free(&md);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound_memory_can_change_between_runs),
        cmocka_unit_test(offsets_count_from_the_base_of_the_home),
        cmocka_unit_test(wanting_twice_copies_once),
        cmocka_unit_test(what_the_weights_phase_prepares_lasts),
        cmocka_unit_test(views_share_memory_and_life),
        cmocka_unit_test(ops_of_a_phase_run_in_the_order_given),
        cmocka_unit_test(the_profile_counts_runs_while_it_is_on),
        cmocka_unit_test(descriptors_stay_where_they_are),
        cmocka_unit_test(unplanned_programs_can_be_destroyed),
        cmocka_unit_test(the_first_value_that_is_not_finite_is_found),
        cmocka_unit_test(what_cannot_be_copied_is_an_error),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
