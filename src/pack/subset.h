/* Which records of a source a pack gets, and under which class numbers. */
#ifndef PACK_SUBSET_H
#define PACK_SUBSET_H

#include "pack/source.h"

struct subset {
    bool *keep;      /* [records of the source] */
    int32_t *labels; /* [classes of the source]: the new number, -1: left out */
    const char **class_names;  /* [facts.n_classes]; the names are the source's */
    struct source_facts facts; /* of what is kept */
};

/* Works out what options (may be NULL) ask for, without reading a record. all: what
 * source, opened from path, claims. *subset is to be freed with subset_free also on
 * error. ARGUMENT: no such class, or nothing is left; the text has path. */
convoy_status subset_choose(const struct source_kind *kind, const void *source,
                            const char *path, const struct source_facts *all,
                            const convoy_pack_options *options, struct subset *subset);

/* Takes {0}. */
void subset_free(struct subset *subset);

#endif
