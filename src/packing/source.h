/* Where the records of a new pack come from. A kind of source is one file source_*.c
 * that ends in its struct source_kind, and one line in source_list.h. It only lists the
 * records: reading them is the same for all (source_reader.h). */
#ifndef PACKING_SOURCE_H
#define PACKING_SOURCE_H

#include <convoy/pack.h>

#include "packing/listing.h"

/* Options that only some kinds take. */
enum { SOURCE_DEVKIT = 1, SOURCE_INSIDE = 2, SOURCE_SPLIT = 4 };

struct source_kind {
    const char *name;
    const char *expects; /* what it reads, for "expected …, … or …" */
    unsigned takes;      /* which of the options */

    /* Whether path (which exists) is for this kind: by what kind of file it is, its
     * name or its first bytes; the first kind of the list that says yes gets it. */
    bool (*matches)(const char *path);

    /* Lists the records in their order, which depends on the source only, and notes
     * what has to be left out. All that can be refused without reading the images is
     * refused here; raw records are read through once. options is never NULL. *listing
     * is {0} before, and to be freed also on error. */
    convoy_status (*list)(const char *path, const convoy_pack_options *options,
                          struct listing *listing);
};

#endif
