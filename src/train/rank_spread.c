/* Ranks are compared by their sums, not step by step: a rank that is slow now and then
 * costs the others as much as those sums say only if it is always the same one, and
 * such a rank is what the name of the slowest is for.
 *
 * A rank that waits for a slower one does so in its exposed exchange, and in sending
 * samples. So the slowest is the one with the most of what is left without these: what
 * it is busy with by itself. */
#include "train/rank_spread.h"

#include "base/memory.h"
#include "base/owner.h"
#include "comm/gather.h"
#include "metrics/metric.h"

#include <stdio.h>

convoy_status rank_spread_begin(struct rank_spread *spread, convoy_world *world)
{
    char host[OWNER_HOST_SIZE];
    owner_host(host);
    *spread = (struct rank_spread){.n_unsteady = METRIC_STARTING_STEPS};
    return gather_texts(world, host, &spread->hosts);
}

void rank_spread_restart(struct rank_spread *spread)
{
    if (spread->n_unsteady < METRIC_RESTARTING_STEPS)
        spread->n_unsteady = METRIC_RESTARTING_STEPS;
}

static void add(struct spread_sums *sums, const double *parts)
{
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        sums->parts[i] += parts[i];
    sums->steps++;
}

void rank_spread_step(struct rank_spread *spread, const convoy_step_seconds *s)
{
    const double parts[N_SPREAD_PARTS] = {
        [SPREAD_COMPUTE] = s->compute,
        [SPREAD_EXCHANGE] = s->exchange,
        [SPREAD_HIDDEN] = s->hidden,
        [SPREAD_INPUT] = s->input,
        [SPREAD_OPTIMIZER] = s->optimizer,
        [SPREAD_BUSY] = s->compute + s->waited + s->optimizer,
    };
    if (spread->n_unsteady > 0) {
        spread->n_unsteady--;
        return;
    }
    add(&spread->line, parts);
    add(&spread->life, parts);
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
    const double travelled = s->hidden.mean + s->exchange.mean;
    s->hidden_share = travelled > 0 ? s->hidden.mean / travelled : 0;
    while (values[(size_t)s->slowest * N_SPREAD_PARTS + SPREAD_BUSY] < s->busy.most)
        s->slowest++;
    snprintf(s->slowest_host, sizeof s->slowest_host, "%s", spread->hosts[s->slowest]);
}

static convoy_status share(const struct rank_spread *spread,
                           const struct spread_sums *sums, convoy_trainer *t,
                           convoy_rank_seconds *seconds)
{
    convoy_status status = CONVOY_OK;
    const int size = convoy_world_size(t->world), rank = convoy_world_rank(t->world);
    double *own = t->of_ranks + (size_t)rank * N_SPREAD_PARTS;
    *seconds = (convoy_rank_seconds){.steps = sums->steps};
    if (sums->steps == 0)
        return CONVOY_OK;
    for (int i = 0; i < N_SPREAD_PARTS; i++)
        own[i] = sums->parts[i] / (double)sums->steps;
    TRY(exchange_share(t->world, t->of_ranks, size, N_SPREAD_PARTS));
    if (spread->hosts)
        compare(spread, t->of_ranks, size, seconds);
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
    spread->hosts = NULL;
}
