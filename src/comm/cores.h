/* The cores that a rank may compute on. */
#ifndef COMM_CORES_H
#define COMM_CORES_H

#include <convoy/world.h>

#include "base/lanes.h"
#include "comm/crowd.h"

struct cores {
    int n;            /* at least 1 */
    cpu_set_t *sets;  /* [n] the processors (hardware threads) of each that this rank
                         may use; neighbours in the machine side by side */
    cpu_set_t mask;   /* all processors of the process, also where ranks divide them */
    bool roam;        /* no share is marked off: each set is the mask */
    int machine;      /* cores that the machine has for this process, whatever the
                         mask; at least 1 */
    int core_threads; /* hardware threads of the machine's cores; at least 1 */
    struct crowd crowd; /* of cores_share */
};

/* Those of the process's mask (cpus_mask). Where hwloc cannot tell, each processor is a
 * core. Free with cores_free, as the next ones. Local. MEMORY. */
convoy_status cores_here(struct cores *cores);

/* The same for another mask. Local. MEMORY. */
convoy_status cores_of(const cpu_set_t *mask, struct cores *cores);

/* This rank's share of cores_here, since the masks of a node's ranks may have cores in
 * common. Ranks with the same cores divide them, by rank, into shares that differ by
 * one core at most. Where there are more ranks than cores, or the cores of two ranks
 * are the same in part, no share can be marked off: of k ranks on a core each counts
 * 1/k of it, n is the sum rounded down, and all sets are the whole mask. Collective;
 * ranks agree. MEMORY, LIBRARY. */
convoy_status cores_share(convoy_world *world, struct cores *cores);

/* Takes {0}. */
void cores_free(struct cores *cores);

/* "2.8": of hwloc's interface, by the library that is loaded. A release that changes
 * nothing in it has that of one before: 2.9.0 says 2.8, 2.7.1 says 2.7. Local. */
void cores_hwloc_interface(char *text, size_t size);

/* The threads of a rank that need places. */
struct cores_use {
    int lanes, threads; /* lanes, and threads of each; at least 1 */
    bool exchanges;     /* one thread more, for the exchange */
};

/* Divides the cores among lanes, out: places [lanes], for lanes_create. Each has
 * neighbours, and none shares a core; together they are all cores without the place of
 * the exchange. But where there are fewer cores than threads, each place is all of
 * them. Local, as the next ones. */
void cores_places(const struct cores *cores, const struct cores_use *use,
                  cpu_set_t *places);

/* Where the exchange's thread belongs, whose use says that there is one: on a second
 * hardware thread of a lane's core, else on a core that lanes leave idle, and then no
 * lane is there. false: there is neither, and place is the whole mask. */
bool cores_exchange_place(const struct cores *cores, const struct cores_use *use,
                          cpu_set_t *place);

/* Where loading disturbs least, place: the cores of lanes that have more of them than
 * threads. How many threads these have room for; 0: there are none. Others: the mask
 * without what the exchange has for itself, for more threads. */
int cores_loader_place(const struct cores *cores, const struct cores_use *use,
                       cpu_set_t *place, cpu_set_t *others);

/* "lanes 0-7, loading 6-7, exchange 15": processors, in a line. */
void cores_text(const struct cores *cores, const struct cores_use *use, char *text,
                size_t size);

/* Starts lanes at their places. *started is new; free with lanes_destroy. Local.
 * Errors: those of lanes_create. */
convoy_status cores_start_lanes(const struct cores *cores, const struct cores_use *use,
                                struct lanes **started);

#endif
