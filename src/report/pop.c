/* Quotients of times. One whose lower part is not known, which is 0 or not a number, is
 * not a number itself; so is all that is a product of it.
 *
 * Serialisation is POP's max(useful / T_ideal). TALP of the DLB library has no T_ideal,
 * so no serialisation and transfer; its mpiParallelEfficiency is parallel here. Its
 * ompParallelEfficiency is close to threads, of another formula: it counts what lanes
 * spend in MPI as useful. */
#include "report/pop.h"

#include <math.h>

static double quotient(double upper, double lower)
{
    return upper > 0 && lower > 0 ? upper / lower : (double)NAN;
}

static void add(double value, int n, double *mean, double *most)
{
    *mean += value / n;
    *most = value > *most ? value : *most;
}

struct pop_times pop_times_of(const struct pop_step *step)
{
    struct pop_times times = {.step_s = step->step_s, .ideal_s = step->ideal_s};
    for (int p = 0; p < step->n_ranks; p++) {
        add(step->useful_s[p], step->n_ranks, &times.useful_s, &times.useful_s_most);
        if (step->working_s)
            add(step->working_s[p], step->n_ranks, &times.working_s,
                &times.working_s_most);
    }
    return times;
}

struct pop_times pop_times_alone(const struct pop_times *times)
{
    struct pop_times alone = *times;
    alone.useful_s = alone.useful_s_most = alone.ideal_s = times->step_s;
    return alone;
}

struct pop pop_of(const struct pop_times *t)
{
    struct pop pop = {
        .parallel = quotient(t->useful_s, t->step_s),
        .balance = quotient(t->useful_s, t->useful_s_most),
        .communication = quotient(t->useful_s_most, t->step_s),
        .serialisation = quotient(t->useful_s_most, t->ideal_s),
        .transfer = quotient(t->ideal_s, t->step_s),
        .hybrid = quotient(t->working_s, t->step_s),
        .threads = quotient(t->working_s, t->useful_s),
        .threads_communication = quotient(t->working_s_most, t->useful_s_most),
    };
    pop.threads_balance = quotient(t->working_s, t->working_s_most) / pop.balance;
    return pop;
}

static double per_image(const struct pop_cost *cost)
{
    return quotient(cost->useful_s * cost->cores, cost->batch);
}

double pop_scaling(const struct pop_cost *reference, const struct pop_cost *cost)
{
    return quotient(per_image(reference), per_image(cost));
}
