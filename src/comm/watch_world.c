/* The watch of a world: MPI carries the key and the addresses, once, and tells whether
 * all ranks have found each other. */
#include "comm/world.h"

#include "base/memory.h"
#include "comm/watch.h"

#include <string.h>
#include <unistd.h>

/* From the watch's thread, whatever level of threads MPI offers: the process ends. */
static void abort_job(int code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
}

/* All ranks' hosts and nodes, and rank 0's key. Collective. */
static convoy_status exchange_members(const convoy_world *world,
                                      struct watch_options *options,
                                      struct watch_member *members)
{
    convoy_status status = CONVOY_OK;
    struct watch_member *own = &members[world->rank];
    const int n = (int)sizeof *own;
    if (gethostname(own->host, sizeof own->host - 1) != 0)
        memcpy(own->host, "?", 2);
    own->node_first = world->node_first;
    if (world->rank == 0)
        watch_new_key(&options->key);
    TRY_MPI(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, members, n, MPI_BYTE,
                          world->comm));
    TRY_MPI(
        MPI_Bcast(&options->key, (int)sizeof options->key, MPI_BYTE, 0, world->comm));
cleanup:
    return status;
}

/* Where rank 0 and its deputy listen. Collective. */
static convoy_status exchange_places(const convoy_world *world, int deputy,
                                     const struct watch_place *own,
                                     struct watch_place places[2])
{
    convoy_status status = CONVOY_OK;
    places[0] = places[1] = *own;
    TRY_MPI(MPI_Bcast(&places[0], (int)sizeof *places, MPI_BYTE, 0, world->comm));
    TRY_MPI(MPI_Bcast(&places[1], (int)sizeof *places, MPI_BYTE, deputy, world->comm));
cleanup:
    return status;
}

void world_set_timeout(convoy_world *world, double seconds)
{
    watch_set_timeout(world->watch, seconds);
}

convoy_status convoy_world_watch(convoy_world *world,
                                 void (*say)(void *context, const char *text),
                                 void *context)
{
    convoy_status status = CONVOY_OK;
    struct watch_member *members = NULL;
    struct watch *watch = NULL;
    struct watch_place own = {0}, places[2];
    struct watch_options options = {.rank = world->rank,
                                    .size = world->size,
                                    .say = say,
                                    .context = context,
                                    .abort = abort_job};
    if (world->size == 1)
        return CONVOY_OK;
    TRY(convoy_world_agree(world, mem_alloc_array((size_t)world->size, sizeof *members,
                                                  (void **)&members)));
    TRY(exchange_members(world, &options, members));
    options.members = members;
    TRY(convoy_world_agree(world, watch_create(&options, &own, &watch)));
    TRY(exchange_places(world, watch_deputy(members, world->size), &own, places));
    TRY(convoy_world_agree(world, watch_connect(watch, places)));
    watch_arm(watch);
    world->watch = watch;
    watch = NULL;
cleanup:
    watch_destroy(watch);
    mem_free(members);
    return status;
}
