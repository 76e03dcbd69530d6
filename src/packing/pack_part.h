/* Making the files of a pack from a plan. */
#ifndef PACKING_PACK_PART_H
#define PACKING_PACK_PART_H

#include "packing/pack_plan.h"
#include "packing/source_reader.h"

struct pack_job {
    const struct pack_plan *plan;
    struct source_reader *reader;
    uint64_t n_done, n_all; /* records of this rank */
};

/* Writes part k to path. Errors: IO, FORMAT (strict, or nothing is left), MEMORY. */
convoy_status pack_part_write(struct pack_job *job, int k, const char *path);

/* Whether path is part k, whole and undamaged: then it need not be written. */
bool pack_part_is_done(const struct pack_job *job, int k, const char *path);

#endif
