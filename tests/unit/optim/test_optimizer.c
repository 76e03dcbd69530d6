/* Every optimizer of the list: names, slots, and steps of pieces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "optim/optim.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { N = 100003, N_STEPS = 3 };

/* Settings of every kind: its options' defaults; the same with booleans turned; numbers
 * as low as they may be. */
enum { N_SETTINGS = 3, MOST_BYTES = 1024 };

struct numbers {
    _Alignas(max_align_t) unsigned char bytes[MOST_BYTES];
};

static void set_option(const struct option *option, int variant, void *settings)
{
    void *field = (char *)settings + option->offset;
    const char *text = option->default_text;
    assert_non_null(text);
    const bool least = variant == 2 && !(option->open & OPTION_ABOVE_MIN);
    const double number = least ? option->min : strtod(text, NULL);
    if (option->type == OPTION_FLOAT)
        *(double *)field = number;
    else if (option->type == OPTION_BOOL)
        *(bool *)field = (strcmp(text, "true") == 0) != (variant == 1);
    else if (option->type == OPTION_INT)
        *(int *)field = (int)number;
    else
        assert_int_equal(option->type, OPTION_CHOICE); /* the first */
}

static struct numbers numbers_of(const struct optim_kind *kind, int variant)
{
    struct numbers numbers = {0};
    assert_true(kind->about.size <= sizeof numbers);
    for (int i = 0; i < kind->about.n_options; i++)
        set_option(&kind->about.options[i], variant, &numbers);
    return numbers;
}

static float *new_floats(void)
{
    float *values = NULL;
    assert_int_equal(mem_alloc_array(N, sizeof *values, (void **)&values), CONVOY_OK);
    return values;
}

/* Values of some seeds, drawn once. */
enum { N_SEEDS = N_STEPS + 2 };
static float drawn[N_SEEDS][N];

static int draw_all(void **state)
{
    (void)state;
    for (int seed = 0; seed < N_SEEDS; seed++) {
        const struct rng rng = rng_stream((uint64_t)seed, RNG_INIT, 0, 0);
        for (uint64_t i = 0; i < N; i++)
            drawn[seed][i] = (float)rng_normal(&rng, i);
    }
    return 0;
}

static void fill(float *values, uint64_t seed)
{
    assert_true(seed < N_SEEDS);
    memcpy(values, drawn[seed], sizeof drawn[seed]);
}

static struct optimizer *new_optimizer(const struct optim_kind *kind,
                                       const struct numbers *numbers)
{
    struct optimizer *optimizer = NULL;
    assert_int_equal(optimizer_create(kind, numbers, N, &optimizer), CONVOY_OK);
    return optimizer;
}

/* All passes over a piece, whose tensor has some norms or other. */
static void step_piece(struct optimizer *optimizer, struct optim_piece piece)
{
    double sums[OPTIM_MAX_NORMS];
    piece.lr = 0.1;
    piece.adapts = true;
    piece.norms[0] = 2;
    piece.norms[1] = 3;
    if (optimizer_kind(optimizer)->measure)
        optimizer_measure(optimizer, &piece, sums);
    optimizer_step(optimizer, &piece);
}

/* What some steps make of parameters; begins: n_ranges + 1 borders of ranges. */
static void run(const struct optim_kind *kind, const struct numbers *numbers,
                const size_t *begins, int n_ranges, float *params)
{
    struct optimizer *optimizer = new_optimizer(kind, numbers);
    float *grads = new_floats();
    fill(params, 1);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        fill(grads, 2 + step);
        for (int i = n_ranges - 1; i >= 0; i--) /* last first, as buckets come */
            step_piece(optimizer, (struct optim_piece){.params = params,
                                                       .grads = grads + begins[i],
                                                       .begin = begins[i],
                                                       .end = begins[i + 1],
                                                       .step = step,
                                                       .weight_decay = 1e-3});
    }
    mem_free(grads);
    optimizer_destroy(optimizer);
}

/* Calls check for every optimizer with all settings. */
static void for_each(void (*check)(const struct optim_kind *kind,
                                   const struct numbers *numbers))
{
    assert_true(optim_n_kinds() > 0);
    for (int i = 0; i < optim_n_kinds(); i++)
        for (int j = 0; j < N_SETTINGS; j++) {
            const struct numbers numbers = numbers_of(optim_kind_at(i), j);
            check(optim_kind_at(i), &numbers);
        }
}

static void check_ranges(const struct optim_kind *kind, const struct numbers *numbers)
{
    static const size_t whole[] = {0, N};
    static const size_t parts[] = {0, 1, 17, 17, 4096, 99999, N};
    float *a = new_floats(), *b = new_floats();
    run(kind, numbers, whole, 1, a);
    run(kind, numbers, parts, 6, b);
    assert_memory_equal(a, b, N * sizeof *a);
    fill(b, 1);
    assert_memory_not_equal(a, b, N * sizeof *a);
    mem_free(a);
    mem_free(b);
}

static void how_ranges_are_cut_changes_no_bit(void **state)
{
    (void)state;
    for_each(check_ranges);
}

static void check_threads(const struct optim_kind *kind, const struct numbers *numbers)
{
    static const size_t whole[] = {0, N};
    float *a = new_floats(), *b = new_floats();
    int usual = omp_get_max_threads();
    omp_set_num_threads(1);
    run(kind, numbers, whole, 1, a);
    omp_set_num_threads(3);
    run(kind, numbers, whole, 1, b);
    omp_set_num_threads(usual);
    assert_memory_equal(a, b, N * sizeof *a);
    mem_free(a);
    mem_free(b);
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    for_each(check_threads);
}

static void check_zero_gradient(const struct optim_kind *kind,
                                const struct numbers *numbers)
{
    float *before = new_floats(), *params = new_floats(), *grads = new_floats();
    struct optimizer *optimizer = new_optimizer(kind, numbers);
    fill(before, 1);
    fill(params, 1);
    struct optim_piece piece = {.params = params, .grads = grads, .end = N};
    step_piece(optimizer, piece);
    assert_memory_equal(params, before, N * sizeof *params);
    piece.weight_decay = 0.5;
    step_piece(optimizer, piece);
    assert_memory_not_equal(params, before, N * sizeof *params);
    optimizer_destroy(optimizer);
    mem_free(before);
    mem_free(params);
    mem_free(grads);
}

static void without_gradient_and_decay_parameters_stay(void **state)
{
    (void)state;
    for_each(check_zero_gradient);
}

static void check_outside(const struct optim_kind *kind, const struct numbers *numbers)
{
    float *before = new_floats(), *params = new_floats(), *grads = new_floats();
    struct optimizer *optimizer = new_optimizer(kind, numbers);
    fill(before, 1);
    fill(params, 1);
    fill(grads, 2);
    step_piece(optimizer, (struct optim_piece){.params = params,
                                               .grads = grads + 100,
                                               .begin = 100,
                                               .end = 200,
                                               .weight_decay = 0.5});
    assert_memory_equal(params, before, 100 * sizeof *params);
    assert_memory_equal(params + 200, before + 200, (N - 200) * sizeof *params);
    for (size_t i = 100; i < 200; i++)
        assert_true(params[i] != before[i]);
    for (int i = 0; i < kind->n_slots; i++) {
        const float *slot =
            optimizer_slot(optimizer, optimizer_slot_name(optimizer, i));
        assert_true(slot[99] == 0 && slot[200] == 0);
    }
    optimizer_destroy(optimizer);
    mem_free(before);
    mem_free(params);
    mem_free(grads);
}

static void a_step_leaves_other_elements_alone(void **state)
{
    (void)state;
    for_each(check_outside);
}

/* Stops after some steps, carries parameters and slots over to a new optimizer, goes
 * on: as a resumed run does. */
static void check_resume(const struct optim_kind *kind, const struct numbers *numbers)
{
    static const size_t whole[] = {0, N};
    float *uninterrupted = new_floats(), *params = new_floats(), *grads = new_floats();
    run(kind, numbers, whole, 1, uninterrupted);
    struct optimizer *optimizer = new_optimizer(kind, numbers);
    fill(params, 1);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        fill(grads, 2 + step);
        step_piece(optimizer, (struct optim_piece){.params = params,
                                                   .grads = grads,
                                                   .end = N,
                                                   .step = step,
                                                   .weight_decay = 1e-3});
        struct optimizer *resumed = new_optimizer(kind, numbers);
        for (int i = 0; i < kind->n_slots; i++)
            memcpy(optimizer_slot(resumed, optimizer_slot_name(resumed, i)),
                   optimizer_slot(optimizer, optimizer_slot_name(optimizer, i)),
                   N * sizeof(float));
        optimizer_destroy(optimizer);
        optimizer = resumed;
    }
    assert_memory_equal(params, uninterrupted, N * sizeof *params);
    optimizer_destroy(optimizer);
    mem_free(uninterrupted);
    mem_free(params);
    mem_free(grads);
}

static void slots_hold_all_the_state_there_is(void **state)
{
    (void)state;
    for_each(check_resume);
}

static void kinds_have_different_names_and_named_slots(void **state)
{
    (void)state;
    for (int i = 0; i < optim_n_kinds(); i++) {
        const struct optim_kind *kind = optim_kind_at(i);
        assert_ptr_equal(optim_find(kind->about.name), kind);
        assert_true(*kind->about.help);
        assert_in_range(kind->n_slots, 0, OPTIM_MAX_SLOTS);
        const struct numbers numbers = numbers_of(kind, 0);
        struct optimizer *optimizer = new_optimizer(kind, &numbers);
        assert_ptr_equal(optimizer_kind(optimizer), kind);
        for (int j = 0; j < kind->n_slots; j++) {
            float *slot = optimizer_slot(optimizer, optimizer_slot_name(optimizer, j));
            assert_non_null(slot);
            assert_int_equal((uintptr_t)slot % MEM_ALIGNMENT, 0);
            for (int k = 0; k < j; k++)
                assert_ptr_not_equal(
                    slot, optimizer_slot(optimizer, optimizer_slot_name(optimizer, k)));
        }
        assert_null(optimizer_slot(optimizer, "none"));
        optimizer_destroy(optimizer);
    }
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_null(optim_find("sdg"));
    assert_null(optim_find(""));
    optimizer_destroy(NULL);
}

static void too_many_parameters_are_refused(void **state)
{
    (void)state;
    struct optimizer *optimizer = NULL;
    const struct numbers numbers = numbers_of(optim_kind_at(0), 0);
    assert_int_equal(
        optimizer_create(optim_kind_at(0), &numbers, SIZE_MAX / 2, &optimizer),
        CONVOY_ERROR_MEMORY);
    assert_null(optimizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_ranges_are_cut_changes_no_bit),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(without_gradient_and_decay_parameters_stay),
        cmocka_unit_test(a_step_leaves_other_elements_alone),
        cmocka_unit_test(slots_hold_all_the_state_there_is),
        cmocka_unit_test(kinds_have_different_names_and_named_slots),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(too_many_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, draw_all, NULL);
}
