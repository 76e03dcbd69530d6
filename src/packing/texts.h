/* Many short texts in one block: a million small allocations would cost more. */
#ifndef PACKING_TEXTS_H
#define PACKING_TEXTS_H

#include "base/status.h"

#include <stddef.h>

/* Start with {0}. */
struct texts {
    char *block; /* the texts, each with its final 0 */
    size_t capacity, used;
    size_t *starts; /* [n] in block */
    size_t starts_capacity, n;
};

convoy_status texts_add(struct texts *texts, const char *text);

/* Adds what printf would print; longer than STATUS_TEXT_SIZE is cut. */
convoy_status texts_print(struct texts *texts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Borrowed until the next addition. */
const char *texts_get(const struct texts *texts, size_t i);

/* New array of the n texts, which are borrowed until the next addition; free with
 * mem_free. */
convoy_status texts_list(const struct texts *texts, const char ***list);

/* Orders the texts by their bytes. */
void texts_sort(struct texts *texts);

/* Takes the first n bytes off each text that has as many. */
void texts_trim(struct texts *texts, size_t n);

/* Frees what texts holds; it is then {0}. */
void texts_free(struct texts *texts);

#endif
