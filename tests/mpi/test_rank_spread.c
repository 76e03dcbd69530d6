/* Which rank is the slowest, and what of the others' time is waiting for it. */
#include "base/owner.h"
#include "metrics/metric.h"
#include "mpi/ranks.h"
#include "train/rank_spread.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

enum { MAX_RANKS = 8 };

static int start(void **state)
{
    return (int)convoy_world_create((convoy_world **)state);
}

static int stop(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

/* Steps of 10 s on every rank; the last one waits for its loader in most of them, the
 * others for it. The first rank computes for longest. */
static convoy_step_seconds step_of(const convoy_world *world)
{
    const bool is_slow = world->rank == world->size - 1;
    convoy_step_seconds seconds = {.compute = world->rank == 0 ? 5 : 4,
                                   .optimizer = 1,
                                   .waited = is_slow ? 4 : 0,
                                   .input = is_slow ? 4.5 : 0.5,
                                   .hidden = 3};
    seconds.exchange = 10 - seconds.compute - seconds.optimizer - seconds.input;
    return seconds;
}

static bool take_steps(const convoy_trainer *trainer, struct rank_spread *spread, int n)
{
    const convoy_step_seconds seconds = step_of(trainer->world);
    bool ok = true;
    for (int i = 0; i < n; i++)
        ok = rank_spread_step(spread, trainer, &seconds) == CONVOY_OK && ok;
    return ok;
}

/* What rank 0 is told of n steps on size ranks. */
static bool is_told(const convoy_rank_seconds *s, int n, int size)
{
    char host[OWNER_HOST_SIZE];
    owner_host(host);
    const double alone = size == 1, compute = 4 + 1.0 / size, input = 0.5 + 4.0 / size;
    return s->steps == (uint64_t)n && is_near(s->compute.mean, compute) &&
           is_near(s->compute.least, 4 + alone) && is_near(s->compute.most, 5) &&
           is_near(s->input.mean, input) && is_near(s->optimizer.mean, 1) &&
           is_near(s->exchange.mean, 9 - compute - input) &&
           is_near(s->exchange.least, 0.5 - alone) &&
           is_near(s->busy.most, 9 + alone) &&
           is_near(s->busy.mean, compute + 1 + 4.0 / size) &&
           is_near(s->hidden_share, 3 / (3 + s->exchange.mean)) &&
           s->slowest == size - 1 && strcmp(s->slowest_host, host) == 0;
}

static void the_slowest_is_who_waits_least_for_others(void **state)
{
    convoy_world *world = *state;
    double of_ranks[MAX_RANKS * N_OF_RANKS] = {0};
    convoy_trainer trainer = {.world = world, .of_ranks = of_ranks};
    convoy_rank_seconds line = {0}, none = {0}, life = {0};
    struct rank_spread spread = {0};
    const bool speaks = world->rank == 0;
    bool ok = rank_spread_begin(&spread, &trainer) == CONVOY_OK;
    ok = ok && take_steps(&trainer, &spread, METRIC_STARTING_STEPS) &&
         rank_spread_line(&spread, &trainer, &none) == CONVOY_OK && none.steps == 0;
    ok = ok && take_steps(&trainer, &spread, 3) &&
         rank_spread_line(&spread, &trainer, &line) == CONVOY_OK &&
         (!speaks || is_told(&line, 3, world->size));
    rank_spread_restart(&spread);
    ok = ok && take_steps(&trainer, &spread, METRIC_RESTARTING_STEPS + 2) &&
         rank_spread_line(&spread, &trainer, &line) == CONVOY_OK &&
         (!speaks || is_told(&line, 2, world->size));
    ok = ok && rank_spread_life(&spread, &trainer, &life) == CONVOY_OK &&
         (!speaks || is_told(&life, 5, world->size));
    rank_spread_end(&spread);
    assert_true(on_all_ranks(world, ok));
}

/* In each step another rank is the busy one: of all steps none is the slowest, but each
 * waits for one. More steps than ranks keep before they compare them. */
static void the_ideal_step_has_the_busiest_rank_of_each_step(void **state)
{
    convoy_world *world = *state;
    double of_ranks[MAX_RANKS * N_OF_RANKS] = {0};
    convoy_trainer trainer = {.world = world, .of_ranks = of_ranks};
    convoy_rank_seconds line = {0}, life = {0};
    struct rank_spread spread = {0};
    const int size = world->size, n = SPREAD_KEPT / size * size + size;
    bool ok = rank_spread_begin(&spread, &trainer) == CONVOY_OK;
    spread.n_unsteady = 0;
    for (int i = 0; i < n; i++) {
        const double compute = i % size == world->rank ? 9 : 3;
        const convoy_step_seconds seconds = {.compute = compute,
                                             .working = compute / 2};
        ok = rank_spread_step(&spread, &trainer, &seconds) == CONVOY_OK && ok;
    }
    ok = ok && rank_spread_line(&spread, &trainer, &line) == CONVOY_OK &&
         rank_spread_life(&spread, &trainer, &life) == CONVOY_OK;
    if (world->rank == 0) {
        const double busy = 3 + 6.0 / size;
        ok = ok && line.steps == (uint64_t)n && is_near(line.ideal, 9) &&
             is_near(life.ideal, 9) && is_near(line.busy.most, busy) &&
             is_near(line.working.mean, busy / 2) &&
             is_near(line.working.most, busy / 2) && line.step > 0;
    }
    rank_spread_end(&spread);
    assert_true(on_all_ranks(world, ok));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slowest_is_who_waits_least_for_others),
        cmocka_unit_test(the_ideal_step_has_the_busiest_rank_of_each_step),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
