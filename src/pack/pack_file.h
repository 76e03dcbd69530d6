/* One file of a pack, read and checked: everything but its records. */
#ifndef PACK_PACK_FILE_H
#define PACK_PACK_FILE_H

#include "pack/pack_index.h"

#include <stddef.h>

/* Start with {0}. */
struct pack_file {
    convoy_pack_info info;
    struct pack_index index;
    char **class_names; /* [info.n_classes] */
    char **left_out;    /* [n_left_out] what of the source is not in it, and why */
    size_t n_left_out;
    char *plan;     /* "", or what binds the parts of a pack together */
    char *state;    /* "", or that of the sources when it was made */
    uint64_t start; /* of the records in the file */
    char *path;
};

/* Reads the file at path. Errors: IO, FORMAT. *file is to be freed also on error. */
convoy_status pack_file_load(const char *path, struct pack_file *file);

/* It is then {0}. */
void pack_file_free(struct pack_file *file);

/* "folder/part-00003.h5" into out. ARGUMENT where that is too long. */
convoy_status pack_file_name_part(const char *folder, int part, char *out, size_t size);

#endif
