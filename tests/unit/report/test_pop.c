/* The POP metrics of timelines made by hand: of each, T with its messages' times and
 * T_ideal without come from pop_replay, and the metrics are worked out in its comment.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/pop.h"
#include "report/pop_replay.h"

#include <math.h>

/* CMocka's own compares floats. */
#define ASSERT_NEAR(value, expected, tolerance)                                        \
    assert_true(fabs((value) - (expected)) <= (tolerance))

enum { MAX_RANKS = 4, MAX_EVENTS = 24 };

#define COMPUTE(s)                                                                     \
    {                                                                                  \
        .kind = POP_COMPUTE, .seconds = (s)                                            \
    }
#define SEND(to, s)                                                                    \
    {                                                                                  \
        .kind = POP_SEND, .other = (to), .seconds = (s)                                \
    }
#define RECEIVE(from)                                                                  \
    {                                                                                  \
        .kind = POP_RECEIVE, .other = (from)                                           \
    }
#define MEET(s)                                                                        \
    {                                                                                  \
        .kind = POP_MEET, .seconds = (s)                                               \
    }

struct rank {
    struct pop_event events[MAX_EVENTS];
    int n;
};

struct timeline {
    const char *name;
    struct rank ranks[MAX_RANKS];
    int n_ranks;
    double step_s, ideal_s;
    struct pop pop;
};

static const struct timeline table[] = {
    /* Imbalance: all wait for rank 0 in a meeting that costs nothing.
     *   useful 4 3 3 2: mean 12 / 4 = 3, most 4; T = 4, and so is T_ideal.
     *   balance 3/4; communication 4/4, of it serialisation 4/4 and transfer 4/4;
     *   parallel 3/4. */
    {"imbalance",
     {{{COMPUTE(4), MEET(0)}, 2},
      {{COMPUTE(3), MEET(0)}, 2},
      {{COMPUTE(3), MEET(0)}, 2},
      {{COMPUTE(2), MEET(0)}, 2}},
     4,
     4,
     4,
     {.parallel = 0.75,
      .balance = 0.75,
      .communication = 1,
      .serialisation = 1,
      .transfer = 1}},
    /* Waiting: rank 1 needs what rank 0 has made, and rank 0 what rank 1 makes of it;
     * messages cost nothing.
     *   useful 2 2: mean 2, most 2; T = 2 + 2 = 4, and so is T_ideal.
     *   balance 2/2; communication 2/4, of it serialisation 2/4 and transfer 4/4;
     *   parallel 2/4. */
    {"waiting",
     {{{COMPUTE(2), SEND(1, 0), RECEIVE(1)}, 3},
      {{RECEIVE(0), COMPUTE(2), SEND(0, 0)}, 3}},
     2,
     4,
     4,
     {.parallel = 0.5,
      .balance = 1,
      .communication = 0.5,
      .serialisation = 0.5,
      .transfer = 1}},
    /* Transfer: both compute for 3 and meet, for which messages take 1.
     *   useful 3 3: mean 3, most 3; T = 3 + 1 = 4, T_ideal = 3.
     *   balance 3/3; communication 3/4, of it serialisation 3/3 and transfer 3/4;
     *   parallel 3/4. */
    {"transfer",
     {{{COMPUTE(3), MEET(1)}, 2}, {{COMPUTE(3), MEET(1)}, 2}},
     2,
     4,
     3,
     {.parallel = 0.75,
      .balance = 1,
      .communication = 0.75,
      .serialisation = 1,
      .transfer = 0.75}},
    /* All at once, over two steps: the slower rank is another one in each.
     *   Step 1: 5 and 1, meeting at 5, which takes 1: both at 6.
     *   Step 2: 1 and 3, meeting at 9, which takes 1: T = 10.
     *   Without: 5 + 3: T_ideal = 8. useful 6 4: mean 5, most 6.
     *   balance 5/6; communication 6/10, of it serialisation 6/8 and transfer 8/10;
     *   parallel 5/10. */
    {"all of it",
     {{{COMPUTE(5), MEET(1), COMPUTE(1), MEET(1)}, 4},
      {{COMPUTE(1), MEET(1), COMPUTE(3), MEET(1)}, 4}},
     2,
     10,
     8,
     {.parallel = 0.5,
      .balance = 5.0 / 6,
      .communication = 0.6,
      .serialisation = 0.75,
      .transfer = 0.8}},
    /* A message under way while its sender computes: rank 1 can begin at 1 + 2.
     *   useful 3 1: mean 2, most 3; T = max(3, 1 + 2 + 1) = 4, T_ideal = max(3, 2) = 3.
     *   balance 2/3; communication 3/4, of it serialisation 3/3 and transfer 3/4;
     *   parallel 2/4. */
    {"under way",
     {{{COMPUTE(1), SEND(1, 2), COMPUTE(2)}, 3}, {{RECEIVE(0), COMPUTE(1)}, 2}},
     2,
     4,
     3,
     {.parallel = 0.5,
      .balance = 2.0 / 3,
      .communication = 0.75,
      .serialisation = 1,
      .transfer = 0.75}},
};

static convoy_status play(const struct timeline *t, double factor, double *useful_s,
                          double *total_s)
{
    struct timeline copy = *t;
    struct pop_line lines[MAX_RANKS];
    for (int i = 0; i < copy.n_ranks; i++)
        lines[i] = (struct pop_line){copy.ranks[i].events, copy.ranks[i].n};
    return pop_replay(lines, copy.n_ranks, factor, useful_s, total_s);
}

static struct pop metrics_of(const struct timeline *t, struct pop_times *times)
{
    double useful_s[MAX_RANKS];
    struct pop_step step = {.n_ranks = t->n_ranks, .useful_s = useful_s};
    assert_int_equal(play(t, 0, useful_s, &step.ideal_s), CONVOY_OK);
    assert_int_equal(play(t, 1, useful_s, &step.step_s), CONVOY_OK);
    *times = pop_times_of(&step);
    return pop_of(times);
}

static void metrics_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct pop *expected = &table[i].pop;
        struct pop_times times;
        const struct pop pop = metrics_of(&table[i], &times);
        print_message("%s\n", table[i].name);
        ASSERT_NEAR(times.step_s, table[i].step_s, 1e-12);
        ASSERT_NEAR(times.ideal_s, table[i].ideal_s, 1e-12);
        ASSERT_NEAR(pop.parallel, expected->parallel, 1e-12);
        ASSERT_NEAR(pop.balance, expected->balance, 1e-12);
        ASSERT_NEAR(pop.communication, expected->communication, 1e-12);
        ASSERT_NEAR(pop.serialisation, expected->serialisation, 1e-12);
        ASSERT_NEAR(pop.transfer, expected->transfer, 1e-12);
        assert_true(isnan(pop.threads) && isnan(pop.hybrid));
    }
}

static void assert_factors(const struct pop *pop)
{
    ASSERT_NEAR(pop->serialisation * pop->transfer, pop->communication, 1e-9);
    ASSERT_NEAR(pop->balance * pop->communication, pop->parallel, 1e-9);
    ASSERT_NEAR(pop->threads_balance * pop->threads_communication, pop->threads, 1e-9);
    ASSERT_NEAR(pop->parallel * pop->threads, pop->hybrid, 1e-9);
}

/* From 0 to 1, the next of a sequence. */
static double draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 40) / (double)(1 << 24);
}

/* Steps as convoy's: each rank waits for its loader and computes, all meet, and each
 * updates its weights. */
static struct timeline draw_steps(uint64_t *seed, int n_steps, double update_s,
                                  double update_spread_s)
{
    struct timeline t = {.n_ranks = MAX_RANKS};
    for (int p = 0; p < MAX_RANKS; p++)
        for (int k = 0; k < n_steps; k++) {
            struct pop_event *events = t.ranks[p].events + t.ranks[p].n;
            events[0] = (struct pop_event)COMPUTE(0.5 + draw(seed));
            events[1] = (struct pop_event)MEET(0.1 + 0.2 * draw(seed));
            events[2] =
                (struct pop_event)COMPUTE(update_s + update_spread_s * draw(seed));
            t.ranks[p].n += 3;
        }
    return t;
}

static void factors_multiply_to_their_parent(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 200; i++) {
        const struct timeline t = draw_steps(&seed, 4, 0.1, 0.1);
        struct pop_times times;
        metrics_of(&t, &times);
        assert_true(times.useful_s <= times.useful_s_most);
        assert_true(times.useful_s_most <= times.ideal_s + 1e-12);
        assert_true(times.ideal_s <= times.step_s);
        times.working_s = times.useful_s * (0.5 + 0.4 * draw(&seed));
        times.working_s_most = times.working_s * (1 + 0.1 * draw(&seed));
        const struct pop pop = pop_of(&times);
        assert_factors(&pop);
    }
}

/* The training adds up the most that a rank is busy for in each step, without a replay:
 * the same where updates take all ranks alike, else off by at most what they differ. */
static double most_of_each_step(const struct timeline *t, int n_steps)
{
    double sum = 0;
    for (int k = 0; k < n_steps; k++) {
        double most = 0;
        for (int p = 0; p < t->n_ranks; p++) {
            const struct pop_event *events = t->ranks[p].events + (size_t)3 * (size_t)k;
            most = fmax(most, events[0].seconds + events[2].seconds);
        }
        sum += most;
    }
    return sum;
}

static void the_trainings_rule_is_the_replay_without_messages(void **state)
{
    (void)state;
    enum { N_STEPS = 8 };
    uint64_t seed = 7;
    for (int i = 0; i < 100; i++) {
        const double spread_s = i % 2 ? 0.05 : 0;
        const struct timeline t = draw_steps(&seed, N_STEPS, 0.2, spread_s);
        double useful_s[MAX_RANKS], ideal_s;
        assert_int_equal(play(&t, 0, useful_s, &ideal_s), CONVOY_OK);
        ASSERT_NEAR(most_of_each_step(&t, N_STEPS), ideal_s, N_STEPS * spread_s + 1e-9);
    }
}

/* Two ranks with two lanes each, T = 10: rank 0's lanes work for 8 and 4, rank 1's for
 * 6 and 6, and the ranks are busy for 9 and 8 (the second lane of rank 0 has nothing to
 * take for 5 of its 9).
 *   useful 9 8: mean 8.5; working 6 6: mean 6.
 *   parallel 8.5/10, threads 6/8.5, hybrid 6/10;
 *   balance 8.5/9, hybrid balance 6/6: threads_balance 9/8.5;
 *   threads_communication 6/9. */
static void the_hybrid_split_is_that_worked_out_by_hand(void **state)
{
    (void)state;
    const double useful_s[] = {9, 8}, working_s[] = {(8 + 4) / 2.0, (6 + 6) / 2.0};
    const struct pop_step step = {2, useful_s, working_s, 10, 9};
    const struct pop_times times = pop_times_of(&step);
    const struct pop pop = pop_of(&times);
    ASSERT_NEAR(pop.parallel, 0.85, 1e-12);
    ASSERT_NEAR(pop.threads, 6 / 8.5, 1e-12);
    ASSERT_NEAR(pop.hybrid, 0.6, 1e-12);
    ASSERT_NEAR(pop.threads_balance, 9 / 8.5, 1e-12);
    ASSERT_NEAR(pop.threads_communication, 6.0 / 9, 1e-12);
    assert_factors(&pop);
}

/* A rank alone, T = 10: its first lane works for 10, the second has nothing to take for
 * the last 4, which are no exchange, though the rank is busy only for what both do.
 *   working (10 + 6) / 2 = 8: parallel 1 and all its factors 1; threads and hybrid
 *   8/10, of which threads_communication has all. */
static void a_rank_alone_has_no_communication(void **state)
{
    (void)state;
    const double useful_s[] = {6}, working_s[] = {8};
    const struct pop_step step = {1, useful_s, working_s, 10, 6};
    const struct pop_times measured = pop_times_of(&step);
    const struct pop_times times = pop_times_alone(&measured);
    const struct pop pop = pop_of(&times);
    ASSERT_NEAR(pop.parallel, 1, 1e-12);
    ASSERT_NEAR(pop.balance, 1, 1e-12);
    ASSERT_NEAR(pop.serialisation, 1, 1e-12);
    ASSERT_NEAR(pop.transfer, 1, 1e-12);
    ASSERT_NEAR(pop.threads, 0.8, 1e-12);
    ASSERT_NEAR(pop.threads_balance, 1, 1e-12);
    ASSERT_NEAR(pop.hybrid, 0.8, 1e-12);
    assert_factors(&pop);
}

/* One rank of 4 cores is busy for 8 s of 64 images: 0.5 core-seconds an image. Two such
 * ranks, of the same batch (strong), for 5 s: 8 x 5 / 64 = 0.625, scaling 0.8; of twice
 * the batch (weak), for 10 s: the same. */
static void scaling_is_by_core_seconds_an_image(void **state)
{
    (void)state;
    const struct pop_cost one = {8, 4, 64}, strong = {5, 8, 64}, weak = {10, 8, 128},
                          none = {0, 8, 64};
    ASSERT_NEAR(pop_scaling(&one, &one), 1, 1e-12);
    ASSERT_NEAR(pop_scaling(&one, &strong), 0.8, 1e-12);
    ASSERT_NEAR(pop_scaling(&one, &weak), 0.8, 1e-12);
    assert_true(isnan(pop_scaling(&one, &none)) && isnan(pop_scaling(&none, &one)));
}

static void what_is_not_known_is_not_a_number(void **state)
{
    (void)state;
    const struct pop_times times = {.useful_s = 3, .useful_s_most = 4, .step_s = 5};
    const struct pop pop = pop_of(&times);
    ASSERT_NEAR(pop.parallel, 0.6, 1e-12);
    assert_true(isnan(pop.serialisation) && isnan(pop.transfer));
    assert_true(isnan(pop.threads) && isnan(pop.threads_balance));
    assert_true(isnan(pop.hybrid) && isnan(pop.threads_communication));
}

static void a_timeline_without_end_is_refused(void **state)
{
    (void)state;
    static const struct timeline wrong[] = {
        {.name = "no message",
         .ranks = {{{RECEIVE(1)}, 1}, {{COMPUTE(1)}, 1}},
         .n_ranks = 2},
        {.name = "both wait",
         .ranks = {{{RECEIVE(1), SEND(1, 0)}, 2}, {{RECEIVE(0), SEND(0, 0)}, 2}},
         .n_ranks = 2},
        {.name = "a rank has ended",
         .ranks = {{{MEET(0), MEET(0)}, 2}, {{MEET(0)}, 1}},
         .n_ranks = 2},
        {.name = "no such rank",
         .ranks = {{{SEND(2, 0)}, 1}, {{COMPUTE(1)}, 1}},
         .n_ranks = 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double useful_s[MAX_RANKS], total_s;
        print_message("%s\n", wrong[i].name);
        assert_int_equal(play(&wrong[i], 1, useful_s, &total_s), CONVOY_ERROR_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_those_worked_out_by_hand),
        cmocka_unit_test(factors_multiply_to_their_parent),
        cmocka_unit_test(the_trainings_rule_is_the_replay_without_messages),
        cmocka_unit_test(the_hybrid_split_is_that_worked_out_by_hand),
        cmocka_unit_test(a_rank_alone_has_no_communication),
        cmocka_unit_test(scaling_is_by_core_seconds_an_image),
        cmocka_unit_test(what_is_not_known_is_not_a_number),
        cmocka_unit_test(a_timeline_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
