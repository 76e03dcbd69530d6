/* Steps of several tensors by several workers, in as many passes as it takes: every
 * optimizer, with and without clipping, has the same bits with any workers, however
 * gradients are made and in whatever order pieces are seen to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "optim/update.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* Tensors with gaps between them, as alignment leaves: one is of many pieces, one of
 * two, one ends with a piece, one is all zeros. */
#define PIECES(n) ((size_t)(n)*UPDATE_PIECE)
enum { N = 6 * UPDATE_PIECE + 4096, N_RANGES = 5, N_STEPS = 3, MOST_WORKERS = 5 };
static const struct update_range ranges[N_RANGES] = {
    {.begin = 0, .end = 7, .lr_scale = 1},
    {.begin = 16,
     .end = PIECES(3) + 17,
     .lr_scale = 1,
     .weight_decay = 1e-3,
     .adapts = true},
    {.begin = PIECES(3) + 32,
     .end = PIECES(5) - 1,
     .lr_scale = 0.5,
     .weight_decay = 1e-3,
     .adapts = true},
    {.begin = PIECES(5),
     .end = PIECES(6),
     .lr_scale = 1,
     .weight_decay = 1e-3,
     .adapts = true},
    {.begin = PIECES(6),
     .end = PIECES(6) + 1000,
     .lr_scale = 2,
     .weight_decay = 1e-3,
     .adapts = true},
};

/* A kind's default settings. */
struct settings {
    _Alignas(max_align_t) unsigned char bytes[256];
};

static struct settings settings_of(const struct optim_kind *kind)
{
    struct settings settings = {0};
    assert_true(kind->about.size <= sizeof settings);
    for (int i = 0; i < kind->about.n_options; i++)
        option_set_default(&kind->about, i, &settings);
    return settings;
}

/* Values of some seeds, drawn once. */
enum { N_SEEDS = 2 * N_STEPS + 1 };
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

static float *new_floats(uint64_t seed)
{
    float *values = NULL;
    assert_true(seed < N_SEEDS);
    assert_int_equal(mem_alloc_array(N, sizeof *values, (void **)&values), CONVOY_OK);
    memcpy(values, drawn[seed], sizeof drawn[seed]);
    return values;
}

/* A gradient that is a sum of two, made where it is read. */
struct halves {
    float *left, *right; /* [N]; right NULL: none */
};

static const float *sum_of(const void *context, size_t begin, size_t end, float *room)
{
    const struct halves *halves = context;
    assert_true(end - begin <= UPDATE_PIECE);
    if (!halves->right)
        return halves->left + begin;
    for (size_t i = begin; i < end; i++)
        room[i - begin] = halves->left[i] + halves->right[i];
    return room;
}

/* An optimizer, its update and what they work on. */
struct rig {
    struct optimizer *optimizer;
    struct update *update;
    float *params;
    struct halves halves;
    int workers;
};

static struct rig new_rig(const struct optim_kind *kind, double clip_norm, int workers)
{
    const struct settings settings = settings_of(kind);
    struct rig rig = {.params = new_floats(0), .workers = workers};
    assert_int_equal(optimizer_create(kind, &settings, N, &rig.optimizer), CONVOY_OK);
    const struct update_options options = {.optimizer = rig.optimizer,
                                           .ranges = ranges,
                                           .n_ranges = N_RANGES,
                                           .workers = workers,
                                           .clip_norm = clip_norm};
    assert_int_equal(update_create(&options, &rig.update), CONVOY_OK);
    memset(rig.params + ranges[3].begin, 0, UPDATE_PIECE * sizeof(float));
    return rig;
}

static void free_rig(struct rig *rig)
{
    update_destroy(rig->update);
    optimizer_destroy(rig->optimizer);
    mem_free(rig->params);
    mem_free(rig->halves.left);
    mem_free(rig->halves.right);
}

static void begin_step(struct rig *rig, uint64_t step, bool is_halved)
{
    mem_free(rig->halves.left);
    mem_free(rig->halves.right);
    rig->halves = (struct halves){new_floats(1 + 2 * step), new_floats(2 + 2 * step)};
    if (!is_halved) {
        for (size_t i = 0; i < N; i++)
            rig->halves.left[i] += rig->halves.right[i];
        mem_free(rig->halves.right);
        rig->halves.right = NULL;
    }
    update_begin(rig->update,
                 &(struct update_step){.params = rig->params, .step = step, .lr = 0.1});
}

struct worker {
    struct rig *rig;
    int number;
    bool comes;
};

static void *work(void *context)
{
    const struct worker *worker = context;
    const struct update_source source = {sum_of, &worker->rig->halves};
    if (worker->comes)
        update_work(worker->rig->update, worker->number, &source, NULL, NULL);
    else
        update_cancel(worker->rig->update);
    return NULL;
}

/* The last of the workers may stay away. */
static void work_together(struct rig *rig, bool all_come)
{
    pthread_t threads[MOST_WORKERS];
    struct worker workers[MOST_WORKERS];
    for (int i = 0; i < rig->workers; i++) {
        workers[i] = (struct worker){rig, i, all_come || i + 1 < rig->workers};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < rig->workers; i++)
        pthread_join(threads[i], NULL);
}

static void work_by_hand(struct rig *rig)
{
    const struct update_source source = {sum_of, &rig->halves};
    for (int pass = 0; pass < update_n_passes(rig->update); pass++) {
        for (size_t i = 0; i < update_n_pieces(rig->update); i++)
            update_piece(rig->update, pass, i * 5 % update_n_pieces(rig->update), 0,
                         &source);
        update_end_pass(rig->update, pass);
    }
}

static void assert_same(const struct rig *a, const struct rig *b)
{
    const struct optim_kind *kind = optimizer_kind(a->optimizer);
    assert_memory_equal(a->params, b->params, N * sizeof(float));
    for (int i = 0; i < kind->n_slots; i++)
        assert_memory_equal(
            optimizer_slot(a->optimizer, optimizer_slot_name(a->optimizer, i)),
            optimizer_slot(b->optimizer, optimizer_slot_name(b->optimizer, i)),
            N * sizeof(float));
}

static void check_workers(const struct optim_kind *kind, double clip_norm)
{
    struct rig one = new_rig(kind, clip_norm, 1), hand = new_rig(kind, clip_norm, 1);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        begin_step(&one, step, false);
        work_together(&one, true);
        begin_step(&hand, step, true);
        assert_true(update_n_pieces(hand.update) % 5 != 0); /* each comes once */
        work_by_hand(&hand);
    }
    assert_same(&one, &hand);
    for (int workers = 2; workers <= MOST_WORKERS; workers++) {
        struct rig more = new_rig(kind, clip_norm, workers);
        for (uint64_t step = 0; step < N_STEPS; step++) {
            begin_step(&more, step, workers % 2);
            work_together(&more, true);
        }
        assert_same(&one, &more);
        free_rig(&more);
    }
    free_rig(&one);
    free_rig(&hand);
}

static void workers_and_the_order_of_pieces_change_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < optim_n_kinds(); i++) {
        check_workers(optim_kind_at(i), 0);
        check_workers(optim_kind_at(i), 3);
    }
}

static void all_of_the_ranges_learns_and_nothing_between_them(void **state)
{
    (void)state;
    for (int i = 0; i < optim_n_kinds(); i++) {
        struct rig rig = new_rig(optim_kind_at(i), 3, 2);
        float *before = new_floats(0);
        memset(before + ranges[3].begin, 0, UPDATE_PIECE * sizeof(float));
        begin_step(&rig, 0, true);
        work_together(&rig, true);
        size_t at = 0;
        for (int r = 0; r < N_RANGES; r++) {
            size_t n_changed = 0;
            for (; at < ranges[r].begin; at++)
                assert_true(rig.params[at] == before[at]);
            for (; at < ranges[r].end; at++)
                n_changed += rig.params[at] < before[at] || rig.params[at] > before[at];
            assert_true(n_changed > (ranges[r].end - ranges[r].begin) / 2);
        }
        mem_free(before);
        free_rig(&rig);
    }
}

/* |g| of all ranges in double, in another order than the update's. */
static double norm_of(const float *grads)
{
    double sum = 0;
    for (int r = 0; r < N_RANGES; r++)
        for (size_t i = ranges[r].begin; i < ranges[r].end; i++)
            sum += (double)grads[i] * (double)grads[i];
    return sqrt(sum);
}

/* With a momentum of 0 and no decay, a step is lr lr_scale times the clipped gradient.
 */
static void clipping_scales_all_gradients_alike(void **state)
{
    (void)state;
    static const double shares[] = {0.25, 0.999, 1.001, 4};
    const double momentum = 0;
    for (int c = 0; c < 4; c++) {
        struct rig rig = new_rig(optim_find("sgd"), 1, 1), clipped;
        float *before = new_floats(0);
        begin_step(&rig, 0, false);
        const double norm = norm_of(rig.halves.left), clip = shares[c] * norm;
        clipped = new_rig(optim_find("sgd"), clip, 2);
        begin_step(&clipped, 0, true);
        assert_true(isnan(update_grad_norm(clipped.update)));
        update_begin(clipped.update, &(struct update_step){.params = clipped.params,
                                                           .lr = 0.1,
                                                           .momentum = &momentum});
        work_together(&clipped, true);
        assert_true(fabs(update_grad_norm(clipped.update) - norm) < 1e-9 * norm);
        assert_int_equal(update_clipped(clipped.update), shares[c] < 1);
        const double factor = fmin(1, clip / (norm + 1e-6));
        for (size_t i = ranges[2].begin; i < ranges[2].end; i++) {
            const double grad = factor * (double)rig.halves.left[i];
            const double expected =
                before[i] - 0.1 * 0.5 * (grad + 1e-3 * (double)before[i]);
            assert_true(fabs(clipped.params[i] - expected) < 1e-6);
        }
        mem_free(before);
        free_rig(&rig);
        free_rig(&clipped);
    }
}

static void without_clipping_there_is_no_norm(void **state)
{
    (void)state;
    struct rig rig = new_rig(optim_find("lars"), 0, 1);
    begin_step(&rig, 0, false);
    work_together(&rig, true);
    assert_true(isnan(update_grad_norm(rig.update)));
    assert_false(update_clipped(rig.update));
    free_rig(&rig);
}

/* A gradient a thousand times as large gives the same first step, but for rounding,
 * epsilon and decay: a weight's rate is by its own norms. */
static void a_gradients_size_does_not_matter_to_lars_and_lamb(void **state)
{
    (void)state;
    static const char *const names[] = {"lars", "lamb"};
    for (int k = 0; k < 2; k++) {
        struct rig a = new_rig(optim_find(names[k]), 0, 1),
                   b = new_rig(optim_find(names[k]), 0, 1);
        float *before = new_floats(0);
        begin_step(&a, 0, false);
        begin_step(&b, 0, false);
        for (size_t i = 0; i < N; i++) { /* none of a size that epsilon or decay has */
            a.halves.left[i] += a.halves.left[i] < 0 ? -0.1F : 0.1F;
            b.halves.left[i] = 1024 * a.halves.left[i];
        }
        work_together(&a, true);
        work_together(&b, true);
        for (size_t i = ranges[1].begin; i < ranges[1].end; i++)
            assert_true(fabsf(a.params[i] - b.params[i]) <
                        1e-6F + 0.01F * fabsf(a.params[i] - before[i]));
        mem_free(before);
        free_rig(&a);
        free_rig(&b);
    }
}

static void who_waits_for_a_worker_that_does_not_come_is_let_go(void **state)
{
    (void)state;
    struct rig rig = new_rig(optim_find("lamb"), 1, 3);
    begin_step(&rig, 0, false);
    work_together(&rig, false);
    /* and the next step is as ever */
    begin_step(&rig, 1, false);
    work_together(&rig, true);
    assert_true(update_grad_norm(rig.update) > 0);
    free_rig(&rig);
}

static void passes_are_as_many_as_it_takes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double clip;
        int passes;
        bool by_tensor;
    } cases[] = {{"sgd", 0, 1, false}, {"sgd", 1, 2, true},  {"adamw", 0, 1, false},
                 {"lars", 0, 2, true}, {"lars", 1, 3, true}, {"lamb", 0, 2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig = new_rig(optim_find(cases[i].name), cases[i].clip, 1);
        assert_int_equal(update_n_passes(rig.update), cases[i].passes);
        assert_int_equal(update_by_tensor(optim_find(cases[i].name), cases[i].clip),
                         cases[i].by_tensor);
        free_rig(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_and_the_order_of_pieces_change_no_bit),
        cmocka_unit_test(all_of_the_ranges_learns_and_nothing_between_them),
        cmocka_unit_test(clipping_scales_all_gradients_alike),
        cmocka_unit_test(without_clipping_there_is_no_norm),
        cmocka_unit_test(a_gradients_size_does_not_matter_to_lars_and_lamb),
        cmocka_unit_test(who_waits_for_a_worker_that_does_not_come_is_let_go),
        cmocka_unit_test(passes_are_as_many_as_it_takes),
    };
    return cmocka_run_group_tests(tests, draw_all, NULL);
}
