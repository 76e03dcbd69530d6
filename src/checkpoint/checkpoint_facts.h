/* The facts of a checkpoint as attributes of its file. */
#ifndef CHECKPOINT_CHECKPOINT_FACTS_H
#define CHECKPOINT_CHECKPOINT_FACTS_H

#include "base/hash.h"
#include "h5/h5.h"
#include "checkpoint/checkpoint.h"

#include <stdio.h>

enum { CHECKPOINT_MAX_FACTS = 24 };

/* Facts and the memory of their texts. */
struct checkpoint_owned_facts {
    struct checkpoint_facts facts;
    char *texts[CHECKPOINT_MAX_FACTS];
    char **class_names;
};

convoy_status checkpoint_facts_write(struct h5_file *file,
                                     const struct checkpoint_facts *facts);

/* *owned: {0} before; on error, too, to be freed with checkpoint_facts_free. */
convoy_status checkpoint_facts_read(const struct h5_file *file,
                                    struct checkpoint_owned_facts *owned);
void checkpoint_facts_free(struct checkpoint_owned_facts *owned);

void checkpoint_facts_hash(struct hash *hash, const struct checkpoint_facts *facts);

/* One "name: value" a line, then the recipe. */
void checkpoint_facts_print(const struct checkpoint_facts *facts, FILE *stream);

#endif
