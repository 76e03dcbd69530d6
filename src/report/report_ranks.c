/* Means of what several lines say of the ranks, each of as many steps as it stands for.
 * Shares are those of the means. */
#include "report/report_pop.h"

#include <math.h>
#include <string.h>

bool report_ranks_of(const struct metric_ranks *line, struct report_ranks *out)
{
    *out = (struct report_ranks){
        .steps = line->steps,
        .compute_s = line->compute_s,
        .compute_s_least = line->compute_s_least,
        .compute_s_most = line->compute_s_most,
        .exchange_s = line->exchange_s,
        .hidden_s = line->hidden_s,
        .input_s = line->input_s,
        .optimizer_s = line->optimizer_s,
        .busy_s = line->busy_s,
        .busy_s_most = line->busy_s_most,
        .slowest_rank = line->slowest_rank,
    };
    const double sum = out->compute_s + out->compute_s_least + out->compute_s_most +
                       out->exchange_s + out->hidden_s + out->input_s +
                       out->optimizer_s + out->busy_s + out->busy_s_most;
    report_pop_take(line, out);
    memcpy(out->slowest_host, line->slowest_host, sizeof out->slowest_host);
    return isfinite(sum) && out->steps <= line->step;
}

/* Of a step, into the mean so far, which the other is this share of. */
static void mix(double *mean, double other, double share)
{
    *mean += share * (other - *mean);
}

void report_ranks_add(struct report_ranks *mean, const struct report_ranks *other)
{
    if (other->steps == 0)
        return;
    if (mean->steps == 0) {
        *mean = *other;
        return;
    }
    const bool is_same = strcmp(mean->slowest_host, other->slowest_host) == 0 &&
                         mean->slowest_rank == other->slowest_rank;
    report_pop_add(mean, other);
    mean->steps += other->steps;
    const double share = (double)other->steps / (double)mean->steps;
    mix(&mean->compute_s, other->compute_s, share);
    mix(&mean->compute_s_least, other->compute_s_least, share);
    mix(&mean->compute_s_most, other->compute_s_most, share);
    mix(&mean->exchange_s, other->exchange_s, share);
    mix(&mean->hidden_s, other->hidden_s, share);
    mix(&mean->input_s, other->input_s, share);
    mix(&mean->optimizer_s, other->optimizer_s, share);
    mix(&mean->busy_s, other->busy_s, share);
    mix(&mean->busy_s_most, other->busy_s_most, share);
    if (!is_same)
        mean->slowest_host[0] = '\0';
}

double report_ranks_hidden_share(const struct report_ranks *ranks)
{
    const double all = ranks->hidden_s + ranks->exchange_s;
    return all > 0 ? ranks->hidden_s / all : 0;
}

double report_ranks_balance(const struct report_ranks *ranks)
{
    return ranks->busy_s_most > 0 ? ranks->busy_s / ranks->busy_s_most : 1;
}
