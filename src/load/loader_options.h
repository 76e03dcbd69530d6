/* Checks and defaults of a loader's options. */
#ifndef LOAD_LOADER_OPTIONS_H
#define LOAD_LOADER_OPTIONS_H

#include "load/loader.h"

/* Errors: ARGUMENT (see loader_create). */
convoy_status loader_options_check(const convoy_pack *pack,
                                   const struct loader_options *options);

/* The microbatches to keep ready: what was asked for, or a good number. */
int loader_options_prefetch(const struct loader_options *options);

/* The threads that take microbatches, at least 1. */
int loader_options_consumers(const struct loader_options *options);

#endif
