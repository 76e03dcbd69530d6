/* A steady-state step allocates nothing and creates no primitive, nor does an
 * evaluation, on however many lanes.
 *
 * malloc and its kin are replaced in this program, so that every caller counts, also
 * inside libraries: convoy's own calls are told apart by the linker's --wrap, which
 * redirects only what this program's objects call. oneDNN keeps small maps of arguments
 * for each execution and MPI has requests of its own; blocks of a page and more nobody
 * may take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/idx_file.h"
#include "train/trace.h"
#include "train/trainer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096 };

static atomic_int counting, own_allocations, large_allocations, creations;

void *__libc_malloc(size_t bytes);

/* Interposes libc's for the whole process. */
void *malloc(size_t bytes)
{
    if (counting && bytes >= PAGE)
        large_allocations++;
    return __libc_malloc(bytes);
}

#define COUNTED(result, name, parameters, arguments, counter)                          \
    result __real_##name parameters;                                                   \
    result __wrap_##name parameters;                                                   \
    result __wrap_##name parameters                                                    \
    {                                                                                  \
        if (counting)                                                                  \
            (counter)++;                                                               \
        return __real_##name arguments;                                                \
    }

COUNTED(void *, malloc, (size_t n), (n), own_allocations)
COUNTED(void *, calloc, (size_t n, size_t size), (n, size), own_allocations)
COUNTED(void *, realloc, (void *p, size_t n), (p, n), own_allocations)
COUNTED(void *, aligned_alloc, (size_t a, size_t n), (a, n), own_allocations)
COUNTED(dnnl_status_t, dnnl_primitive_create,
        (dnnl_primitive_t * p, const_dnnl_primitive_desc_t pd), (p, pd), creations)
COUNTED(dnnl_status_t, dnnl_memory_create,
        (dnnl_memory_t * m, dnn_cmd md, dnnl_engine_t e, void *h), (m, md, e, h),
        creations)
COUNTED(dnnl_status_t, dnnl_reorder_primitive_desc_create,
        (dnnl_primitive_desc_t * pd, dnn_cmd from, dnnl_engine_t e, dnn_cmd to,
         dnnl_engine_t f, const_dnnl_primitive_attr_t a),
        (pd, from, e, to, f, a), creations)

static const char recipe_text_of_test[] =
    "model: {name: MODEL, width: 8, classes: 10}\n"
    "data: {train: FOLDER/train.h5, val: FOLDER/train.h5, mean: [0.3], std: [0.3],\n"
    "       crop: CROP, threads: 2, augment: {pad: 2, flip: true}}\n"
    "batch: {size: 48, microbatch: 8}\n"
    "ema: {decay: 0.9, every_steps: 1}\n"
    "eval: {batch_norm: recompute, batches: 2}\n"
    "metrics: {every_steps: 1, grad_norms: true}\n"
    "lanes: LANES\n";

/* text with every "from" replaced. */
static void replace(char *text, size_t size, const char *from, const char *to)
{
    char rest[1024];
    assert_non_null(strstr(text, from));
    for (char *at = text; (at = strstr(at, from)); at += strlen(to)) {
        snprintf(rest, sizeof rest, "%s", at + strlen(from));
        snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
    }
}

/* Two epochs, each with its evaluation. */
static void run_epochs(convoy_trainer *trainer)
{
    convoy_step_result step;
    convoy_eval_result evaluated;
    for (int i = 0; i < 4; i++) {
        if (convoy_trainer_step(trainer, false, &step) != CONVOY_OK)
            fail_msg("%s", convoy_status_text());
        if (i % 2 && convoy_trainer_evaluate(trainer, NULL, NULL, &evaluated))
            fail_msg("%s", convoy_status_text());
        if (i % 2 && convoy_trainer_evaluate_ema(trainer, NULL, NULL, &evaluated))
            fail_msg("%s", convoy_status_text());
    }
}

/* All that lanes did in the counted steps is noted. */
static void check_trace(const struct trace *trace)
{
    size_t n = 0;
    for (int i = 0; i < trace->n_lanes + N_TRACE_EXTRA; i++) {
        const struct trace_track *track = &trace->tracks[i];
        assert_int_equal(track->n_lost, 0);
        for (size_t k = 0; k < track->n; k++) {
            assert_in_range(track->events[k].step, 5, 8);
            n += track->events[k].kind == TRACE_BACKWARD;
        }
    }
    assert_int_equal(n, 4 * 6);
}

static void run_model(convoy_world *world, const char *model, const char *lanes,
                      const char *crop, bool traced)
{
    char folder[SCRATCH_PATH], text[2048];
    convoy_recipe *recipe = NULL;
    convoy_trainer *trainer = NULL;
    convoy_trainer_info info;
    assert_int_equal(scratch_make(folder), 0);
    assert_int_equal(idx_write_set(folder, 96, 28, 28, 10), 0);
    assert_int_equal(convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                                        scratch_path(folder, "train.h5"), NULL),
                     CONVOY_OK);
    snprintf(text, sizeof text, "%s", recipe_text_of_test);
    replace(text, sizeof text, "MODEL", model);
    replace(text, sizeof text, "FOLDER", folder);
    replace(text, sizeof text, "LANES", lanes);
    replace(text, sizeof text, "CROP", crop);
    if (convoy_recipe_load_text("test", text, NULL, 0, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    if (convoy_trainer_create(world, recipe, NULL, &trainer) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    convoy_trainer_describe(trainer, &info);
    assert_int_equal(info.lanes, atoi(lanes));
    if (traced)
        assert_int_equal(trace_create(trainer, &(convoy_trace_options){.file = NULL}, 5,
                                      8, &trainer->trace),
                         CONVOY_OK);
    run_epochs(trainer);
    own_allocations = large_allocations = creations = 0;
    counting = 1;
    run_epochs(trainer);
    counting = 0;
    assert_int_equal(creations, 0);
    assert_int_equal(own_allocations, 0);
    assert_int_equal(large_allocations, 0);
    if (traced)
        check_trace(trainer->trace);
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
    assert_int_equal(scratch_remove(folder), 0);
}

static void a_steady_step_allocates_nothing_and_creates_no_primitive(void **state)
{
    run_model(*state, "resnet20", "1", "28", false);
}

static void nor_does_one_of_several_lanes_that_is_traced(void **state)
{
    run_model(*state, "resnet20", "3", "28", true);
}

/* Epochs have two steps: the size changes in the first, and in those that count. */
static void nor_does_a_change_of_the_images_size(void **state)
{
    run_model(*state, "resnet20", "2",
              "[{epoch: 0, crop: 28}, {epoch: 1, crop: 20}, {epoch: 2, crop: 24}, "
              "{epoch: 3, crop: 20}]",
              false);
}

/* The counters would see it: setting up is full of both. */
static void setting_up_is_counted(void **state)
{
    struct dnn dnn;
    convoy_net *net = NULL;
    struct compiled *compiled = NULL;
    const struct compile_options options = {.n = 4, .type = dnnl_f32, .training = true};
    (void)state;
    own_allocations = large_allocations = creations = 0;
    counting = 1;
    assert_int_equal(dnn_create(&dnn), CONVOY_OK);
    assert_int_equal(convoy_net_create(3, 32, 32, &net), CONVOY_OK);
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "conv",
                                    &(convoy_conv){.out = 8, .kernel = 3});
    x = convoy_net_flatten(net, x, "flatten");
    convoy_net_loss(net, x, 0);
    assert_int_equal(net_compile(net, &options, &compiled), CONVOY_OK);
    void *volatile page = malloc(PAGE); /* through --wrap and the interposed malloc */
    free(page);
    counting = 0;
    assert_true(creations > 0);
    assert_true(own_allocations > 0);
    assert_true(large_allocations > 0);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
    dnn_destroy(&dnn);
}

/* Of the process: MPI begins once. */
static int create_world(void **state)
{
    return (int)convoy_world_create((convoy_world **)state);
}

static int destroy_world(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_up_is_counted),
        cmocka_unit_test(a_steady_step_allocates_nothing_and_creates_no_primitive),
        cmocka_unit_test(nor_does_one_of_several_lanes_that_is_traced),
        cmocka_unit_test(nor_does_a_change_of_the_images_size),
    };
    return cmocka_run_group_tests_name("steady state", tests, create_world,
                                       destroy_world);
}
