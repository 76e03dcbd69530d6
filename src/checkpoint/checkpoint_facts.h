/* The facts of a checkpoint as attributes of its file. */
#ifndef CHECKPOINT_CHECKPOINT_FACTS_H
#define CHECKPOINT_CHECKPOINT_FACTS_H

#include "base/hash.h"
#include "h5/h5.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_wire.h"

#include <stdio.h>

enum { CHECKPOINT_MAX_FACTS = 24 };

/* Facts and the memory of their texts. */
struct checkpoint_owned_facts {
    struct checkpoint_facts facts;
    char *texts[CHECKPOINT_MAX_FACTS];
    char **class_names;
};

/* version: the format's, of the file; it says which facts that has. */
convoy_status checkpoint_facts_write(struct h5_file *file,
                                     const struct checkpoint_facts *facts, int version);

/* Facts that the file's version does not have are 0 or "". *owned: {0} before; on
 * error, too, to be freed with checkpoint_facts_free. */
convoy_status checkpoint_facts_read(const struct h5_file *file, int version,
                                    struct checkpoint_owned_facts *owned);
void checkpoint_facts_free(struct checkpoint_owned_facts *owned);

/* Of those that the version has. */
void checkpoint_facts_hash(struct hash *hash, const struct checkpoint_facts *facts,
                           int version);

/* To another process of this program; *owned as above. */
convoy_status checkpoint_facts_put(struct wire *wire,
                                   const struct checkpoint_facts *facts);
convoy_status checkpoint_facts_get(struct wire *wire,
                                   struct checkpoint_owned_facts *owned);

/* One "name: value" a line, then the recipe. */
void checkpoint_facts_print(const struct checkpoint_facts *facts, FILE *stream);

#endif
