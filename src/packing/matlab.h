/* Struct arrays in MATLAB files of version 5 (ImageNet's meta.mat). */
#ifndef PACKING_MATLAB_H
#define PACKING_MATLAB_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A field that is one real number or one row of characters; of others, neither. */
struct matlab_value {
    bool is_number, is_text;
    double number;
    char text[256]; /* longer ones are cut */
};

typedef convoy_status matlab_visitor(void *context, uint64_t element, const char *field,
                                     const struct matlab_value *value);

/* Visits every field of every element of the struct array called name. bytes: the whole
 * file; path: for messages. FORMAT where it holds no such array. */
convoy_status matlab_visit(const char *path, const uint8_t *bytes, size_t n,
                           const char *name, matlab_visitor *visit, void *context);

#endif
