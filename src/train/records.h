/* Records of a pack held on the nodes of a job (data.read: stage, memory): after they
 * are filled, the shared file system is not read any more.
 *
 * For training every rank holds an equal range of the records, and needs, over time,
 * all of them: those of its own node it reads itself, those of other nodes are sent to
 * it. Since all ranks know every epoch's order, they know who needs what: once a step
 * they send each other the records of a step to come. For an evaluation, where each
 * rank always needs the same records, it holds just these, and nothing is sent.
 */
#ifndef TRAIN_RECORDS_H
#define TRAIN_RECORDS_H

#include <convoy/world.h>

#include "load/loader.h"
#include "recipe/recipe.h"

struct records;

/* Fills this node's share of pack. options: of the loader that will read it; world and
 * pack are borrowed. *records is new; free with records_destroy; NULL for
 * RECIPE_READ_DIRECT. Collective; ranks agree on the outcome. Errors: ARGUMENT (no
 * room; the text has the numbers), those of record_store_hold and record_store_open. */
convoy_status records_create(convoy_world *world, const convoy_pack *pack,
                             enum recipe_read read,
                             const struct loader_options *options,
                             struct records **records);

/* Takes NULL. Local; after the loader that reads it. */
void records_destroy(struct records *records);

/* For loader_options; borrowed. NULL takes NULL. Local. */
const struct record_reader *records_reader(const struct records *records);

/* Forgets what was sent: the loader starts anew, at any step. Takes NULL. Local. */
void records_restart(struct records *records);

/* Before step (of training) is taken: gets what the loader, which has been started at
 * this step or an earlier one, needs to work ahead of it, up to but not including step
 * end. Every step in its turn. Takes NULL. Collective; ranks agree on the outcome.
 * Errors: IO, MEMORY, LIBRARY. */
convoy_status records_feed(struct records *records, struct loader *loader,
                           uint64_t step, uint64_t end);

#endif
