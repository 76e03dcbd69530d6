/* The ranks of a job. Collective functions must be called by every rank, in the same
 * order, and by one thread of each at a time. With an MPI that offers
 * MPI_THREAD_FUNNELED only, and no more, that has to be the thread which initialized
 * MPI.
 */
#ifndef CONVOY_WORLD_H
#define CONVOY_WORLD_H

#include <convoy/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_world convoy_world;

/* The exit status of processes whose job has lost a rank (convoy_world_watch). */
enum { CONVOY_WORLD_LOST = 3 };

/* Starts MPI (unless it is already started) and describes the job. Collective over all
 * ranks of the job. *world is new; free with convoy_world_destroy, unless a failure
 * that was not agreed on (convoy_status_agreed) ends the job. Errors: UNSUPPORTED (MPI
 * offers less than MPI_THREAD_FUNNELED), ARGUMENT (MPI has already ended in this
 * process), MEMORY, LIBRARY. */
convoy_status convoy_world_create(convoy_world **world);

/* Ends MPI if this world's convoy_world_create started it: the last thing a process
 * does with MPI. Of several worlds the one that was made first is destroyed last.
 * Collective. Takes NULL. */
void convoy_world_destroy(convoy_world *world);

/* This rank among all, and among those of its node; and the number of nodes. Ranks are
 * numbered node by node: where the launcher deals them out to nodes in turn, its own
 * numbers are others (but for rank 0). Local; any number of threads at once. */
int convoy_world_rank(const convoy_world *world);
int convoy_world_size(const convoy_world *world);
int convoy_world_node_rank(const convoy_world *world);
int convoy_world_node_size(const convoy_world *world);
int convoy_world_nodes(const convoy_world *world);

/* Processors that each rank can count on: its share of those that its affinity mask
 * allows, at least 1 and the same on all ranks. Collective. */
convoy_status convoy_world_cpus(convoy_world *world, int *cpus);

/* All ranks learn how all fared. Collective. Returns OK on every rank if status is OK
 * on every rank. Otherwise the lowest failing rank gets its own status and text back,
 * and every other rank CONVOY_ERROR_ELSEWHERE: so exactly one rank has something to
 * say. CONVOY_STOPPED counts as a failure only after every other. If MPI itself fails,
 * a rank gets its own status back, or LIBRARY if that was OK. Costs one small
 * MPI_Allreduce. */
convoy_status convoy_world_agree(convoy_world *world, convoy_status status);

/* Refuses ranks that differ in what has to be the same: program, files, options. facts:
 * this rank's, lines of "name\tvalue\n" in the same order on all ranks. Collective;
 * ranks agree. Costs one small MPI_Allreduce where they do not differ.
 * Errors: ARGUMENT (the lowest rank whose facts are not those of rank 0 names the first
 * that differs, and both hosts), MEMORY, LIBRARY. */
convoy_status convoy_world_same(convoy_world *world, const char *facts);

/* Watches the ranks from now on, beside MPI: a rank that is killed, crashes, is
 * stopped, loses its host or its network, or gets nowhere while others wait for it, is
 * named in one line, on one rank that is left: say gets it, from a thread of the
 * watch's own and maybe while other threads hold locks. Then every process of the job
 * ends within seconds, by _Exit, with status CONVOY_WORLD_LOST where the rank is gone
 * and 1 where it is stopped or stuck; those of its host that do not end are killed.
 * This holds until convoy_world_destroy, or convoy_world_abort. It costs a thread that
 * sleeps, and a few sockets. Silence, or doing nothing while others wait, counts after
 * 300 s; a training takes the seconds from its recipe (exchange.timeout). Collective,
 * once; ranks agree. Nothing happens in a world of one rank. say and context are
 * borrowed until the world is destroyed. Errors: UNSUPPORTED (ranks do not reach each
 * other by sockets), MEMORY: then there is no watch, and the rest works as ever;
 * LIBRARY. */
convoy_status convoy_world_watch(convoy_world *world,
                                 void (*say)(void *context, const char *text),
                                 void *context);

/* Ends the job at once with the exit status code, without the other ranks' consent.
 * Does not return. For failures that were not agreed on (convoy_status_agreed). world:
 * NULL where there is none. */
void convoy_world_abort(convoy_world *world, int code);

#ifdef __cplusplus
}
#endif
#endif
