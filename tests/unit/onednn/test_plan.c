/* The liveness planner on random programs: every op fills its tensor with a number of
 * its own and first checks that the tensors it reads still hold theirs. Whatever the
 * planner puts into one place too early is found by the op that needed it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "onednn/program.h"

#include <stdlib.h>

enum { N_TENSORS = 60, MAX_READ = 4 };

static struct dnn dnn;

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        print_error("%s (%s)\n", convoy_status_text(), convoy_status_where());
    assert_int_equal(status, CONVOY_OK);
}

struct context {
    int *n_wrong;
    int n_read;
    int32_t n_values[MAX_READ + 1];
    int16_t
        number[MAX_READ + 1]; /* that each tensor holds; the last one's is written */
};

static void check_and_fill(const void *context, const struct run_info *info,
                           void *const *data)
{
    const struct context *c = context;
    (void)info;
    for (int i = 0; i < c->n_read; i++)
        for (int32_t k = 0; k < c->n_values[i]; k++)
            *c->n_wrong += ((const float *)data[i])[k] != (float)c->number[i];
    for (int32_t k = 0; k < c->n_values[c->n_read]; k++)
        ((float *)data[c->n_read])[k] = (float)c->number[c->n_read];
}

/* A random program: tensor i is written by op i, from up to MAX_READ earlier tensors;
 * the first half of the ops is forward, the second backward, so that some are kept
 * between. */
struct graph {
    struct program *program;
    tensor tensors[N_TENSORS];
    int32_t n_values[N_TENSORS];
    enum home homes[N_TENSORS];
    int first[N_TENSORS], last[N_TENSORS]; /* ops; last N_TENSORS: kept */
    int n_wrong;
};

static tensor add_tensor(struct program *program, int64_t n, enum home home)
{
    struct dnn_md md = {0};
    tensor made = NO_TENSOR;
    ok(dnn_md_make_plain(1, &n, dnnl_f32, &md));
    ok(program_tensor(program, dnn_md_ref(&md), home, 0, &made));
    dnn_md_free(&md);
    return made;
}

static enum phase phase_of(int op)
{
    if (op < N_TENSORS / 10)
        return PHASE_WEIGHTS;
    return op < N_TENSORS / 2 ? PHASE_FORWARD : PHASE_BACKWARD;
}

/* Tensors to read: mostly recent ones, now and then an old one. */
static int choose(const struct rng *rng, int op, uint64_t draw)
{
    uint32_t word = rng_word(rng, draw);
    int reach = word % 4 == 0 ? op : op < 5 ? op : 5;
    return op - 1 - (int)(word / 4 % (uint32_t)reach);
}

static void add_op(struct graph *g, const struct rng *rng, int op)
{
    struct context context = {.n_wrong = &g->n_wrong};
    tensor tensors[MAX_READ + 1];
    uint64_t draw = (uint64_t)op * 16;
    int n_read = op == 0 ? 0 : (int)(rng_word(rng, draw++) % (MAX_READ + 1));
    bool persistent = phase_of(op) == PHASE_WEIGHTS;
    if (persistent)
        n_read = 0;
    g->n_values[op] = (int32_t)(1 + rng_word(rng, draw++) % 700);
    g->homes[op] = persistent ? HOME_PREPARED : HOME_ARENA;
    g->tensors[op] = add_tensor(g->program, g->n_values[op], g->homes[op]);
    g->first[op] = g->last[op] = op;
    for (int i = 0; i < n_read; i++) {
        int read = choose(rng, op, draw++);
        tensors[i] = g->tensors[read];
        context.n_values[i] = g->n_values[read];
        context.number[i] = (int16_t)(read + 1);
        g->last[read] = op;
    }
    tensors[n_read] = g->tensors[op];
    context.n_read = n_read;
    context.n_values[n_read] = g->n_values[op];
    context.number[n_read] = (int16_t)(op + 1);
    ok(program_call(g->program, phase_of(op), check_and_fill, &context, sizeof context,
                    n_read + 1, tensors));
    if (rng_word(rng, draw++) % 8 == 0) {
        program_keep(g->program, g->tensors[op]);
        g->last[op] = N_TENSORS;
    }
}

static struct graph *build(uint64_t seed)
{
    struct graph *g = calloc(1, sizeof *g);
    struct rng rng = rng_stream(seed, RNG_INIT, 0, 0);
    assert_non_null(g);
    ok(program_create(&dnn, &g->program));
    for (int op = 0; op < N_TENSORS; op++)
        add_op(g, &rng, op);
    ok(program_plan(g->program));
    return g;
}

static void demolish(struct graph *g)
{
    program_destroy(g->program);
    free(g);
}

static void run(struct graph *g, int n_weights)
{
    const struct run_info info = {0};
    for (int i = 0; i < n_weights; i++)
        ok(program_run(g->program, PHASE_WEIGHTS, &info));
    ok(program_run(g->program, PHASE_FORWARD, &info));
    ok(program_run(g->program, PHASE_BACKWARD, &info));
}

static void what_is_read_is_still_there(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct graph *g = build(seed);
        run(g, 1);
        run(g, 0); /* what PHASE_WEIGHTS made outlives a pass */
        assert_int_equal(g->n_wrong, 0);
        for (int i = 0; i < N_TENSORS; i++) {
            const float *values = program_data(g->program, g->tensors[i]);
            for (int32_t k = 0; g->last[i] == N_TENSORS && k < g->n_values[i]; k++)
                assert_true(values[k] == (float)(i + 1));
        }
        demolish(g);
    }
}

static bool alive_together(const struct graph *g, int a, int b)
{
    if (g->homes[a] == HOME_PREPARED || g->homes[b] == HOME_PREPARED)
        return true;
    return g->first[a] <= g->last[b] && g->first[b] <= g->last[a];
}

static void tensors_alive_together_lie_apart(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct graph *g = build(seed);
        for (int a = 0; a < N_TENSORS; a++) {
            const float *x = program_data(g->program, g->tensors[a]);
            assert_int_equal((uintptr_t)x % 64, 0);
            for (int b = 0; b < a; b++) {
                const float *y = program_data(g->program, g->tensors[b]);
                if (alive_together(g, a, b))
                    assert_true(x + g->n_values[a] <= y || y + g->n_values[b] <= x);
            }
        }
        demolish(g);
    }
}

static void dead_tensors_make_room(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct graph *g = build(seed);
        assert_true(program_arena_bytes(g->program) < program_tensor_bytes(g->program));
        demolish(g);
    }
}

/* A chain needs two tensors at a time, however long it is. */
static void a_chain_needs_room_for_two(void **state)
{
    (void)state;
    enum { LENGTH = 20, VALUES = 1024 };
    struct program *program = NULL;
    int n_wrong = 0;
    tensor pair[2] = {NO_TENSOR, NO_TENSOR};
    ok(program_create(&dnn, &program));
    for (int i = 0; i < LENGTH; i++) {
        struct context context = {.n_wrong = &n_wrong,
                                  .n_read = i > 0,
                                  .n_values = {VALUES, VALUES},
                                  .number = {(int16_t)i, (int16_t)(i + 1)}};
        if (i == 0)
            context.number[0] = 1;
        pair[i > 0] = add_tensor(program, VALUES, HOME_ARENA);
        ok(program_call(program, i < LENGTH / 2 ? PHASE_FORWARD : PHASE_BACKWARD,
                        check_and_fill, &context, sizeof context, 1 + (i > 0), pair));
        pair[0] = pair[i > 0];
    }
    ok(program_plan(program));
    assert_int_equal(program_arena_bytes(program), (size_t)2 * VALUES * sizeof(float));
    assert_int_equal(program_tensor_bytes(program),
                     (size_t)LENGTH * VALUES * sizeof(float));
    ok(program_run(program, PHASE_FORWARD, &(struct run_info){0}));
    ok(program_run(program, PHASE_BACKWARD, &(struct run_info){0}));
    assert_int_equal(n_wrong, 0);
    program_destroy(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_still_there),
        cmocka_unit_test(tensors_alive_together_lie_apart),
        cmocka_unit_test(dead_tensors_make_room),
        cmocka_unit_test(a_chain_needs_room_for_two),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
