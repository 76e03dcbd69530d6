/* Ranks are compared by their sums, not step by step: a rank that is slow now and then
 * costs the others as much as those sums say only if it is always the same one, and
 * such a rank is what the name of the slowest is for.
 *
 * A rank that waits for a slower one does so in its exposed exchange, and in sending
 * samples. So the slowest is the one with the most of what is left without these: what
 * it is busy with by itself.
 *
 * But the ideal step is of single steps: in each the rank that is busy for longest is
 * the one that all would wait for if messages took no time, since all meet in every
 * step. So each rank keeps a number a step, and they look for the most of each at once.
 */
#include "train/rank_spread.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/owner.h"
#include "comm/gather.h"
#include "metrics/metric.h"

#include <stdio.h>

static convoy_status allocate(struct rank_spread *spread, const convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    spread->n_buckets = t->exchange ? exchange_buckets(t->exchange)->count : 0;
    TRY(mem_alloc_array(SPREAD_BUCKET * (size_t)spread->n_buckets + SPREAD_MORE,
                        sizeof *spread->room, (void **)&spread->room));
    TRY(mem_alloc_array(SPREAD_KEPT, sizeof *spread->busy, (void **)&spread->busy));
    TRY(mem_alloc_array((size_t)spread->n_buckets, sizeof *spread->buckets,
                        (void **)&spread->buckets));
cleanup:
    return status;
}

convoy_status rank_spread_begin(struct rank_spread *spread, const convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    char host[OWNER_HOST_SIZE];
    owner_host(host);
    *spread = (struct rank_spread){.n_unsteady = METRIC_STARTING_STEPS,
                                   .since_s = clock_now_s()};
    TRY(convoy_world_agree(t->world, allocate(spread, t)));
    TRY(gather_texts(t->world, host, &spread->hosts));
cleanup:
    return status;
}

void rank_spread_leave_out(struct rank_spread *spread, double seconds)
{
    spread->since_s += seconds;
}

void rank_spread_restart(struct rank_spread *spread)
{
    spread->since_s = clock_now_s();
    if (spread->n_unsteady < METRIC_RESTARTING_STEPS)
        spread->n_unsteady = METRIC_RESTARTING_STEPS;
}

static void add(struct spread_sums *sums, const double *parts)
{
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        sums->parts[i] += parts[i];
    sums->steps++;
}

static void add_buckets(struct rank_spread *spread, const convoy_trainer *t)
{
    for (int b = 0; b < spread->n_buckets; b++) {
        spread->buckets[b].ready += t->bucket_seconds[b].ready;
        spread->buckets[b].sent += t->bucket_seconds[b].sent;
        spread->buckets[b].done += t->bucket_seconds[b].done;
    }
}

/* Of the steps that are kept, the most that a rank was busy. Collective. */
static convoy_status compare_busy(struct rank_spread *spread, const convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(gather_most(t->world, spread->busy, spread->n_busy));
    for (int i = 0; i < spread->n_busy; i++) {
        spread->line.ideal += spread->busy[i];
        spread->life.ideal += spread->busy[i];
    }
    spread->n_busy = 0;
cleanup:
    return status;
}

convoy_status rank_spread_step(struct rank_spread *spread, const convoy_trainer *t,
                               const convoy_step_seconds *s)
{
    const double now_s = clock_now_s(), step_s = now_s - spread->since_s;
    const double parts[N_SPREAD_PARTS] = {
        [SPREAD_COMPUTE] = s->compute,
        [SPREAD_EXCHANGE] = s->exchange,
        [SPREAD_HIDDEN] = s->hidden,
        [SPREAD_INPUT] = s->input,
        [SPREAD_OPTIMIZER] = s->optimizer,
        [SPREAD_BUSY] = s->compute + s->waited + s->optimizer,
        [SPREAD_WORKING] = s->working,
        [SPREAD_STEP] = step_s,
    };
    spread->since_s = now_s;
    if (spread->n_unsteady > 0) {
        spread->n_unsteady--;
        return CONVOY_OK;
    }
    add(&spread->line, parts);
    add(&spread->life, parts);
    add_buckets(spread, t);
    spread->busy[spread->n_busy++] = parts[SPREAD_BUSY];
    return spread->n_busy == SPREAD_KEPT ? compare_busy(spread, t) : CONVOY_OK;
}

/* values: [size, N_SPREAD_PARTS]. */
static convoy_over_ranks over_ranks(const double *values, int size,
                                    enum spread_part part)
{
    convoy_over_ranks over = {0, values[part], values[part]};
    for (int rank = 0; rank < size; rank++) {
        const double value = values[(size_t)rank * N_SPREAD_PARTS + part];
        over.mean += value / size;
        over.least = value < over.least ? value : over.least;
        over.most = value > over.most ? value : over.most;
    }
    return over;
}

static void compare(const struct rank_spread *spread, const double *values, int size,
                    convoy_rank_seconds *s)
{
    s->compute = over_ranks(values, size, SPREAD_COMPUTE);
    s->exchange = over_ranks(values, size, SPREAD_EXCHANGE);
    s->hidden = over_ranks(values, size, SPREAD_HIDDEN);
    s->input = over_ranks(values, size, SPREAD_INPUT);
    s->optimizer = over_ranks(values, size, SPREAD_OPTIMIZER);
    s->busy = over_ranks(values, size, SPREAD_BUSY);
    s->working = over_ranks(values, size, SPREAD_WORKING);
    s->step = over_ranks(values, size, SPREAD_STEP).mean;
    const double travelled = s->hidden.mean + s->exchange.mean;
    s->hidden_share = travelled > 0 ? s->hidden.mean / travelled : 0;
    while (values[(size_t)s->slowest * N_SPREAD_PARTS + SPREAD_BUSY] < s->busy.most)
        s->slowest++;
    snprintf(s->slowest_host, sizeof s->slowest_host, "%s", spread->hosts[s->slowest]);
}

static convoy_status share(struct rank_spread *spread, const struct spread_sums *sums,
                           convoy_trainer *t, convoy_rank_seconds *seconds)
{
    convoy_status status = CONVOY_OK;
    const int size = convoy_world_size(t->world), rank = convoy_world_rank(t->world);
    double *own = t->of_ranks + (size_t)rank * N_SPREAD_PARTS;
    *seconds = (convoy_rank_seconds){.steps = sums->steps};
    if (sums->steps == 0)
        return CONVOY_OK;
    TRY(compare_busy(spread, t));
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        own[i] = sums->parts[i] / (double)sums->steps;
    TRY(exchange_share(t->world, t->of_ranks, size, N_SPREAD_PARTS));
    if (spread->hosts)
        compare(spread, t->of_ranks, size, seconds);
    seconds->ideal = sums->ideal / (double)sums->steps;
cleanup:
    return status;
}

convoy_status rank_spread_line(struct rank_spread *spread, convoy_trainer *trainer,
                               convoy_rank_seconds *seconds)
{
    const convoy_status status = share(spread, &spread->line, trainer, seconds);
    spread->line = (struct spread_sums){.steps = 0};
    return status;
}

convoy_status rank_spread_life(struct rank_spread *spread, convoy_trainer *trainer,
                               convoy_rank_seconds *seconds)
{
    return share(spread, &spread->life, trainer, seconds);
}

void rank_spread_end(struct rank_spread *spread)
{
    mem_free(spread->hosts);
    mem_free(spread->busy);
    mem_free(spread->buckets);
    mem_free(spread->room);
    spread->hosts = NULL;
    spread->busy = NULL;
    spread->buckets = NULL;
    spread->room = NULL;
}
