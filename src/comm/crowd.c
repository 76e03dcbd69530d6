/* A share tells ranks that have cores from those that share them; the number in a mask
 * does not. What follows from it is launch.c's. */
#include "comm/crowd.h"

#include "comm/world.h"

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
    /* Waits for nobody. */
    TRY(world_check(MPI_Get_processor_name(own->host, &length),
                    "MPI_Get_processor_name", __FILE__, __LINE__));
cleanup:
    return status;
}
