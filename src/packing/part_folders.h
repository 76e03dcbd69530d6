/* Folders that are parts of a data set, not its classes. */
#ifndef PACKING_PART_FOLDERS_H
#define PACKING_PART_FOLDERS_H

#include "packing/listing.h"

/* Refuses a listing, ordered by class, whose "classes" are parts such as Train and Test
 * or val2017, or a single folder too high. path and chosen (the option classes, or
 * NULL): a class that chosen names is one, whatever it looks like. Errors: FORMAT, with
 * the folder to give instead. */
convoy_status part_folders_refuse(const char *path, const char *chosen,
                                  const struct listing *listing);

#endif
