/* Which records of a source a pack gets, and under which class numbers. */
#ifndef PACKING_SUBSET_H
#define PACKING_SUBSET_H

#include <convoy/pack.h>

#include "packing/listing.h"

/* Takes out of the listing of the source at path what options do not ask for. ARGUMENT:
 * no such class, or nothing is left; the text has path. */
convoy_status subset_choose(const char *path, const convoy_pack_options *options,
                            struct listing *listing);

#endif
