/* Dropout's mask: the promised fraction, the same in both passes, another one for
 * another step, layer or seed, and one that belongs to the sample whichever microbatch
 * it is in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <string.h>

enum { N_SAMPLES = 4, SAMPLE = 20 * 16 * 16, N_VALUES = N_SAMPLES * SAMPLE };

/* Not in the table of cases: enough values to count. */
static const struct layer_case large = {.kind = "dropout",
                                        .name = "many values",
                                        .n = N_SAMPLES,
                                        .n_src = 1,
                                        .src = {{.c = 20, .h = 16, .w = 16}},
                                        .a = {.p = 0.3F},
                                        .dst = {.c = 20, .h = 16, .w = 16}};

struct fixture {
    struct dnn dnn;
    struct param_store store;
    struct layer_sample *sample;
    struct layer_rig *rig;
};

static void begin(struct fixture *f, int index, enum src_layout layout)
{
    const struct rig_options options = {
        .layout = layout, .training = true, .index = index};
    memset(f, 0, sizeof *f);
    OK(dnn_create(&f->dnn));
    f->sample = sample_create(&large, true);
    rig_add_params(&large, &f->store);
    f->rig = rig_create(f->sample, &options, &f->dnn, &f->store);
}

static void end(struct fixture *f)
{
    rig_destroy(f->rig);
    param_store_free(&f->store);
    sample_destroy(f->sample);
    dnn_destroy(&f->dnn);
}

/* Runs forward with info and writes which values came through. */
static void draw(struct fixture *f, const struct run_info *info, unsigned char *mask)
{
    f->rig->info = *info;
    rig_forward(f->rig);
    for (int i = 0; i < N_VALUES; i++)
        mask[i] = rig_dst(f->rig)[i] != 0;
}

static int n_different(const unsigned char *a, const unsigned char *b, int n)
{
    int different = 0;
    for (int i = 0; i < n; i++)
        different += a[i] != b[i];
    return different;
}

static unsigned char masks[3][N_VALUES];

static void the_fraction_p_is_dropped_in_both_passes(void **state)
{
    (void)state;
    struct fixture f;
    int dropped = 0;
    begin(&f, 3, SRC_PLAIN);
    draw(&f, &(struct run_info){.seed = 1, .step = 5}, masks[0]);
    rig_backward(f.rig);
    for (int i = 0; i < N_VALUES; i++) {
        assert_int_equal(rig_diff_src(f.rig, 0)[i] != 0, masks[0][i]);
        dropped += !masks[0][i];
    }
    /* Five standard deviations of the binomial distribution: sqrt(20480 · 0.3 · 0.7) =
     * 66 */
    assert_in_range(dropped, 6144 - 330, 6144 + 330);
    end(&f);
}

/* Two independent masks differ in 2 · p · (1 - p) = 42 % of the places. */
static void expect_independent(const unsigned char *a, const unsigned char *b, int n)
{
    assert_in_range(n_different(a, b, n), 0.38 * n, 0.46 * n);
}

static void step_seed_layer_and_sample_each_draw_anew(void **state)
{
    (void)state;
    struct fixture f, other;
    begin(&f, 3, SRC_PLAIN);
    begin(&other, 4, SRC_PLAIN);
    draw(&f, &(struct run_info){.seed = 1, .step = 5}, masks[0]);
    draw(&f, &(struct run_info){.seed = 1, .step = 6}, masks[1]);
    expect_independent(masks[0], masks[1], N_VALUES);
    draw(&f, &(struct run_info){.seed = 2, .step = 5}, masks[1]);
    expect_independent(masks[0], masks[1], N_VALUES);
    draw(&other, &(struct run_info){.seed = 1, .step = 5}, masks[1]);
    expect_independent(masks[0], masks[1], N_VALUES);
    expect_independent(masks[0], masks[0] + SAMPLE, SAMPLE);
    draw(&f, &(struct run_info){.seed = 1, .step = 5}, masks[1]);
    assert_memory_equal(masks[0], masks[1], N_VALUES);
    end(&f);
    end(&other);
}

static void a_mask_belongs_to_the_sample(void **state)
{
    (void)state;
    const enum src_layout layouts[] = {SRC_PLAIN, SRC_BLOCK_8, SRC_CHANNELS_LAST};
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        begin(&f, 3, layouts[i]);
        draw(&f, &(struct run_info){.seed = 1, .step = 5, .first_sample = 8}, masks[0]);
        draw(&f, &(struct run_info){.seed = 1, .step = 5, .first_sample = 10},
             masks[1]);
        assert_memory_equal(&masks[0][(size_t)2 * SAMPLE], masks[1],
                            (size_t)2 * SAMPLE);
        expect_independent(masks[0], masks[1], 2 * SAMPLE);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fraction_p_is_dropped_in_both_passes),
        cmocka_unit_test(step_seed_layer_and_sample_each_draw_anew),
        cmocka_unit_test(a_mask_belongs_to_the_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
