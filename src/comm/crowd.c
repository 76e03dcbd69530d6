/* Two ranks on one core take twice as long as two ranks on two, and nothing else tells
 * them apart: a launcher's default is easily one core for all. The worst rank counts,
 * on whichever host it is, since all wait for it in each step. */
#include "comm/crowd.h"

#include "comm/world.h"

#include <stdio.h>

convoy_status crowd_of(const convoy_world *world, MPI_Comm machine,
                       const cpu_set_t *numbers, const int *users, struct crowd *own)
{
    convoy_status status = CONVOY_OK;
    int length = 0, most = 0;
    *own = (struct crowd){.rank = world->rank, .cores = CPU_COUNT(numbers)};
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        own->used_cores += users[core] > 0;
        if (!CPU_ISSET(core, numbers))
            continue;
        own->share += 1.0 / users[core];
        most = users[core] > most ? users[core] : most;
    }
    if (own->cores == 0) /* more than a cpu_set_t holds */
        own->share = 1;
    /* The hair: 3 · (1/3) is a whole core. */
    if (own->share < 1 - 1e-6)
        own->sharers = most;
    TRY_MPI(MPI_Comm_size(machine, &own->ranks));
    TRY_MPI(MPI_Get_processor_name(own->host, &length));
cleanup:
    return status;
}

convoy_status crowd_worst(convoy_world *world, const struct crowd *own,
                          struct crowd *worst)
{
    convoy_status status = CONVOY_OK;
    const struct {
        double share;
        int rank;
    } mine = {own->share, world->rank};
    struct {
        double share;
        int rank;
    } least = {0};
    *worst = *own;
    TRY_MPI(MPI_Allreduce(&mine, &least, 1, MPI_DOUBLE_INT, MPI_MINLOC, world->comm));
    TRY_MPI(MPI_Bcast(worst, (int)sizeof *worst, MPI_BYTE, least.rank, world->comm));
cleanup:
    return status;
}

bool crowd_text(const struct crowd *c, char found[CROWD_TEXT_SIZE],
                char mend[CROWD_TEXT_SIZE])
{
    if (c->sharers == 0)
        return false;
    if (c->ranks > c->machine_cores) {
        snprintf(found, CROWD_TEXT_SIZE, "%s has %d ranks for %d core%s", c->host,
                 c->ranks, c->machine_cores, c->machine_cores > 1 ? "s" : "");
        snprintf(mend, CROWD_TEXT_SIZE,
                 "start at most %d rank%s a node (srun --ntasks-per-node, mpirun "
                 "--map-by ppr:N:node), or ask for more cores (--cpus-per-task)",
                 c->machine_cores, c->machine_cores > 1 ? "s" : "");
        return true;
    }
    const int each = c->machine_cores / c->ranks;
    snprintf(found, CROWD_TEXT_SIZE, "%d ranks of %s share %d core%s of %d there",
             c->sharers, c->host, c->cores, c->cores > 1 ? "s" : "", c->machine_cores);
    snprintf(mend, CROWD_TEXT_SIZE,
             "start with srun --cpus-per-task=%d --cpu-bind=cores, or mpirun --map-by "
             "slot:PE=%d (or --bind-to none)",
             each, each);
    return true;
}
