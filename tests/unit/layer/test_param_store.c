/* The parameter store: initial values that depend on seed and name alone, and exact
 * copies into and out of whatever layouts oneDNN chose. */
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

static const struct shape map = {.c = 20, .h = 8, .w = 8};
static const struct shape features = {.c = 300, .h = 1, .w = 1, .flat = true};
static const struct layer_attributes attributes = {.out = 64,
                                                   .kernel = {3, 3},
                                                   .stride = {1, 1},
                                                   .dilation = {1, 1},
                                                   .groups = 1,
                                                   .bias = true,
                                                   .epsilon = 1e-5F,
                                                   .momentum = 0.1F};

static int add(struct param_store *store, const char *name, const char *kind)
{
    int first_param = -1, first_buffer = -1;
    const struct shape *src = strcmp(kind, "inner_product") == 0 ? &features : &map;
    OK(param_store_add(store, name, layer_find(kind), &attributes, src, &first_param,
                       &first_buffer));
    return first_param;
}

static void allocate_and_init(struct param_store *store, uint64_t seed)
{
    OK(param_store_allocate(store));
    OK(param_store_init(store, &dnn, NULL, seed));
}

/* Parameter i, row-major; to be freed. */
static float *get(const struct param_store *store, int i)
{
    float *values = calloc((size_t)param_store_n_values(store, i), sizeof *values);
    assert_non_null(values);
    OK(param_store_get(store, &dnn, i, store->param_data, values));
    return values;
}

static bool same_values(const struct param_store *a, int i, const struct param_store *b,
                        int k)
{
    size_t n_bytes = (size_t)param_store_n_values(a, i) * sizeof(float);
    float *x = get(a, i), *y = get(b, k);
    bool same = param_store_n_values(a, i) == param_store_n_values(b, k) &&
                memcmp(x, y, n_bytes) == 0;
    free(x);
    free(y);
    return same;
}

static void names_and_places_are_in_order(void **state)
{
    (void)state;
    struct param_store store = {0};
    assert_int_equal(add(&store, "layer1.0.conv1", "conv"), 0);
    assert_int_equal(add(&store, "layer1.0.bn1", "batch_norm"), 2);
    assert_int_equal(add(&store, "relu", "relu"), 4);
    assert_int_equal(add(&store, "fc", "inner_product"), 4);
    assert_int_equal(store.n_params, 6);
    assert_int_equal(store.n_buffers, 2);
    assert_string_equal(store.params[0].name, "layer1.0.conv1.weight");
    assert_string_equal(store.params[3].name, "layer1.0.bn1.bias");
    assert_string_equal(store.buffers[1].name, "layer1.0.bn1.running_var");
    assert_int_equal(param_store_n_values(&store, 0), 64 * 20 * 3 * 3);
    OK(param_store_allocate(&store));
    size_t end = 0;
    for (int i = 0; i < store.n_params; i++) {
        assert_true(store.params[i].offset >= end);
        assert_int_equal(store.params[i].offset % 16, 0);
        assert_true(store.params[i].n_floats >=
                    (size_t)param_store_n_values(&store, i));
        end = store.params[i].offset + store.params[i].n_floats;
    }
    assert_true(store.param_floats >= end && store.param_floats % 16 == 0);
    assert_true(store.buffers[1].offset >= 20);
    assert_true(store.buffer_floats >= store.buffers[1].offset + 20);
    param_store_free(&store);
}

static void names_that_are_too_long_are_refused(void **state)
{
    (void)state;
    struct param_store store = {0};
    char name[300];
    int first_param = -1, first_buffer = -1;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(param_store_add(&store, name, layer_find("conv"), &attributes,
                                     &map, &first_param, &first_buffer),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "xxx.weight"));
    param_store_free(&store);
}

static void initial_values_depend_on_seed_and_name_alone(void **state)
{
    (void)state;
    struct param_store a = {0}, b = {0}, c = {0};
    add(&a, "conv1", "conv");
    add(&a, "conv2", "conv");
    int moved = add(&b, "fc", "inner_product") + 2;
    assert_int_equal(add(&b, "conv1", "conv"), moved);
    add(&c, "conv1", "conv");
    allocate_and_init(&a, 7);
    allocate_and_init(&b, 7);
    allocate_and_init(&c, 8);
    assert_true(same_values(&a, 0, &b, moved));
    assert_false(same_values(&a, 0, &a, 2));
    assert_false(same_values(&a, 0, &c, 0));
    /* Again over other values: the same. */
    memset(a.param_data, 0, a.param_floats * sizeof(float));
    OK(param_store_init(&a, &dnn, NULL, 7));
    assert_true(same_values(&a, 0, &b, moved));
    param_store_free(&a);
    param_store_free(&b);
    param_store_free(&c);
}

static void any_lanes_draw_the_same_values(void **state)
{
    static const struct lanes_options options[] = {
        {.n = 1, .threads = 1}, {.n = 3, .threads = 1}, {.n = 2, .threads = 2}};
    struct param_store alone = {0}, shared = {0};
    (void)state;
    const int fc = add(&alone, "fc", "inner_product"); /* of several ranges */
    add(&shared, "fc", "inner_product");
    allocate_and_init(&alone, 7);
    OK(param_store_allocate(&shared));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct lanes *lanes = NULL;
        memset(shared.param_data, 0, shared.param_floats * sizeof(float));
        OK(lanes_create(&options[i], &lanes));
        OK(param_store_init(&shared, &dnn, lanes, 7));
        lanes_destroy(lanes);
        assert_true(same_values(&alone, fc, &shared, fc));
    }
    param_store_free(&alone);
    param_store_free(&shared);
}

struct moments {
    double mean, variance, largest;
};

static struct moments moments_of(const struct param_store *store, int i)
{
    struct moments m = {0};
    int64_t n = param_store_n_values(store, i);
    float *values = get(store, i);
    for (int64_t k = 0; k < n; k++) {
        m.mean += (double)values[k] / (double)n;
        m.largest = fmax(m.largest, fabs((double)values[k]));
    }
    for (int64_t k = 0; k < n; k++)
        m.variance += ((double)values[k] - m.mean) * ((double)values[k] - m.mean);
    m.variance /= (double)n;
    free(values);
    return m;
}

/* Five standard errors: of the mean sqrt(v / n), of a normal's variance v · sqrt(2 /
 * n). */
static void expect_normal(const struct param_store *store, int i, double variance)
{
    double n = (double)param_store_n_values(store, i);
    struct moments m = moments_of(store, i);
    assert_true(fabs(m.mean) < 5 * sqrt(variance / n));
    assert_true(fabs(m.variance - variance) < 5 * variance * sqrt(2 / n));
    assert_true(m.largest > 3 * sqrt(variance)); /* has a normal's tails */
}

static void weights_have_hes_variance(void **state)
{
    (void)state;
    struct param_store store = {0};
    int conv = add(&store, "conv", "conv"), fc = add(&store, "fc", "inner_product");
    int bn = add(&store, "bn", "batch_norm");
    allocate_and_init(&store, 3);
    expect_normal(&store, conv, 2.0 / (64 * 3 * 3)); /* fan out */
    expect_normal(&store, fc, 2.0 / 300);            /* fan in */
    struct moments biases[] = {moments_of(&store, conv + 1), moments_of(&store, fc + 1),
                               moments_of(&store, bn + 1)};
    for (int i = 0; i < 3; i++)
        assert_true(biases[i].largest == 0);
    struct moments scale = moments_of(&store, bn);
    assert_true(fabs(scale.mean - 1) < 1e-12 && scale.variance < 1e-20);
    for (int k = 0; k < 20; k++) {
        assert_true(store.buffer_data[store.buffers[0].offset + (size_t)k] == 0);
        assert_true(store.buffer_data[store.buffers[1].offset + (size_t)k] == 1);
    }
    param_store_free(&store);
}

/* Adds name with these inits of weight and bias; its weight's number. */
static int add_init(struct param_store *store, const char *name, const char *kind,
                    enum param_init init, enum param_init bias_init)
{
    struct layer_attributes a = attributes;
    int first_param = -1, first_buffer = -1;
    const struct shape *src = strcmp(kind, "inner_product") == 0 ? &features : &map;
    a.init = init;
    a.bias_init = bias_init;
    OK(param_store_add(store, name, layer_find(kind), &a, src, &first_param,
                       &first_buffer));
    return first_param;
}

static void expect_uniform(const struct param_store *store, int i, double bound)
{
    const double n = (double)param_store_n_values(store, i);
    const double variance = bound * bound / 3;
    struct moments m = moments_of(store, i);
    assert_true(m.largest <= bound * (1 + 1e-6) && m.largest > 0.9 * bound);
    assert_true(fabs(m.mean) < 5 * sqrt(variance / n));
    /* The variance of a uniform's variance is 4/5 of its square over n. */
    assert_true(fabs(m.variance - variance) < 5 * variance * sqrt(0.8 / n));
}

static void a_layer_can_ask_for_other_values(void **state)
{
    static const char *const kinds[] = {"conv", "inner_product"};
    static const double fan_in[] = {20 * 3 * 3, 300};
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct param_store store = {0};
        int he = add_init(&store, "he", kinds[k], INIT_HE_NORMAL, INIT_ONE);
        int uniform = add_init(&store, "uniform", kinds[k], INIT_UNIFORM, INIT_UNIFORM);
        int normal = add_init(&store, "normal", kinds[k], INIT_NORMAL, INIT_ZERO);
        int own = add_init(&store, "own", kinds[k], INIT_DEFAULT, INIT_DEFAULT);
        allocate_and_init(&store, 3);
        expect_normal(&store, he, 2 / fan_in[k]);
        expect_uniform(&store, uniform, 1 / sqrt(fan_in[k]));
        expect_uniform(&store, uniform + 1, 1 / sqrt(fan_in[k]));
        expect_normal(&store, normal, 1e-4);
        struct moments ones = moments_of(&store, he + 1);
        assert_true(ones.mean == 1 && ones.variance == 0);
        assert_true(moments_of(&store, normal + 1).largest == 0);
        assert_true(moments_of(&store, own + 1).largest == 0);
        param_store_free(&store);
    }
}

static int uniform_params(const void *told, const struct shape *src,
                          struct param *params)
{
    (void)told;
    (void)src;
    params[0] = (struct param){.name = "weight",
                               .n_dims = 1,
                               .dims = {10000},
                               .init = INIT_UNIFORM,
                               .fan = 25};
    return 1;
}

static void uniform_values_fill_their_range(void **state)
{
    (void)state;
    const struct layer_kind kind = {.about.name = "uniform", .params = uniform_params};
    struct param_store store = {0};
    int first_param, first_buffer;
    OK(param_store_add(&store, "u", &kind, &attributes, &map, &first_param,
                       &first_buffer));
    allocate_and_init(&store, 3);
    struct moments m = moments_of(&store, 0);
    assert_true(m.largest <= 0.2 && m.largest > 0.199);
    assert_true(fabs(m.mean) < 5 * 0.2 / sqrt(3.0 * 10000));
    assert_true(fabs(m.variance / (0.2 * 0.2 / 3) - 1) < 0.05);
    param_store_free(&store);
}

/* Sets and gets parameter i through its layout; nothing outside its range changes. */
static void check_round_trip(const struct param_store *store, int i)
{
    const struct stored_param *p = &store->params[i];
    size_t n = (size_t)param_store_n_values(store, i), nonzero = 0;
    const size_t arena_bytes = store->param_floats * sizeof(float);
    const size_t begin = p->offset * sizeof(float),
                 end = begin + p->n_floats * sizeof(float);
    unsigned char *arena = malloc(arena_bytes);
    float *values = calloc(n, sizeof *values), *back = calloc(n, sizeof *back);
    assert_true(arena && values && back);
    memset(arena, 0x5a, arena_bytes);
    for (size_t k = 0; k < n; k++)
        values[k] = (float)(k + 1) / 3;
    OK(param_store_set(store, &dnn, i, values, (float *)(void *)arena));
    OK(param_store_get(store, &dnn, i, (const float *)(void *)arena, back));
    assert_memory_equal(values, back, n * sizeof *values);
    for (size_t k = 0; k < arena_bytes; k++)
        if (k < begin || k >= end)
            assert_int_equal(arena[k], 0x5a);
    for (size_t k = 0; k < p->n_floats; k++)
        nonzero += ((float *)(void *)arena)[p->offset + k] != 0;
    assert_int_equal(nonzero, n); /* padding is zero */
    free(arena);
    free(values);
    free(back);
}

/* Whether some parameter is kept in another layout than row-major; some with padding.
 */
struct seen {
    bool blocked, padded;
};

static void check_case(const struct layer_case *c, enum src_layout layout,
                       struct seen *seen)
{
    const struct rig_options options = {.layout = layout, .training = true};
    struct layer_sample *sample = sample_create(c, true);
    struct param_store store = {0}, plain = {0};
    rig_add_params(c, &store);
    rig_add_params(c, &plain);
    struct layer_rig *rig = rig_create(sample, &options, &dnn, &store);
    allocate_and_init(&plain, 5);
    OK(param_store_init(&store, &dnn, NULL, 5));
    for (int i = 0; i < store.n_params; i++) {
        const struct stored_param *p = &store.params[i];
        size_t n_values = (size_t)param_store_n_values(&store, i);
        seen->blocked = seen->blocked || !dnn_md_is_plain(dnn_md_ref(&p->layout));
        seen->padded = seen->padded || p->n_floats > n_values;
        check_round_trip(&store, i);
        /* Initial values do not depend on the layout. */
        assert_true(same_values(&store, i, &plain, i));
    }
    rig_destroy(rig);
    param_store_free(&store);
    param_store_free(&plain);
    sample_destroy(sample);
}

static void values_survive_every_layout(void **state)
{
    (void)state;
    struct seen seen = {0};
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        if (!layer_find(c->kind)->params)
            continue;
        check_case(c, SRC_PLAIN, &seen);
        check_case(c, SRC_BLOCK_8, &seen);
    }
    assert_true(seen.blocked);
    if (!seen.padded)
        print_message("no layout has padding on this machine\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_places_are_in_order),
        cmocka_unit_test(names_that_are_too_long_are_refused),
        cmocka_unit_test(initial_values_depend_on_seed_and_name_alone),
        cmocka_unit_test(any_lanes_draw_the_same_values),
        cmocka_unit_test(weights_have_hes_variance),
        cmocka_unit_test(a_layer_can_ask_for_other_values),
        cmocka_unit_test(uniform_values_fill_their_range),
        cmocka_unit_test(values_survive_every_layout),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
