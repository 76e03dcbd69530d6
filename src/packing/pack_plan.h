/* What a new pack is made of, and the folder that its parts go into. */
#ifndef PACKING_PACK_PLAN_H
#define PACKING_PACK_PLAN_H

#include <convoy/pack.h>

#include "packing/listing.h"

struct pack_plan {
    const char *source, *output; /* output: without slashes at its end */
    bool wants_folder;           /* output had some */
    const convoy_pack_options *options;
    struct listing listing;
    int n_parts;
    char id[33]; /* hash of the listing, the number of parts, and what is done to
                    records: parts with the same id belong together */
};

/* Whether options make sense by themselves. ARGUMENT. */
convoy_status pack_plan_check(const convoy_pack_options *options);

/* Whether a file can be written at output and not into source; makes the folder that it
 * is to lie in. IO, ARGUMENT. */
convoy_status pack_plan_try_output(const char *source, const char *output);

/* Sets n_parts and id from the listing and the options. ARGUMENT. */
convoy_status pack_plan_divide(struct pack_plan *plan);

/* The records of part k, by their numbers in the listing: first up to end. */
void pack_plan_range(const struct pack_plan *plan, int k, uint64_t *first,
                     uint64_t *end);

/* Hash of the state in which the sources of part k were listed, and of what was noted
 * of them, as 32 hex digits. */
convoy_status pack_plan_state(const struct pack_plan *plan, int k, char state[33]);

/* Prepares what is at output. A folder is made, or is that of an interrupted run of the
 * same plan, whose temporary files are removed. ARGUMENT where something else is there.
 * IO where the disk is too small. */
convoy_status pack_plan_prepare(const struct pack_plan *plan);

/* For the other ranks: the listing goes through a file beside output. */
convoy_status pack_plan_share(const struct pack_plan *plan);
convoy_status pack_plan_receive(struct pack_plan *plan);
void pack_plan_unshare(const struct pack_plan *plan);

#endif
