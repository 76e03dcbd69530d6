/* Proving that bytes are an image that can be trained on, and making large ones
 * smaller.
 */
#ifndef PACKING_PROVER_H
#define PACKING_PROVER_H

#include <convoy/pack.h>

#include "packing/pack_writer.h"

/* One a thread. */
struct prover;

/* options are borrowed. *prover is new; free with prover_destroy, which takes NULL. */
convoy_status prover_create(const convoy_pack_options *options, struct prover **prover);
void prover_destroy(struct prover *prover);

/* Checks the n bytes of *buffer, which after a re-encoding holds others, and describes
 * them in *record, all but its label. FORMAT where they are no usable image; the text
 * does not say which. */
convoy_status prover_take(struct prover *prover, void **buffer, size_t *capacity,
                          size_t n, struct new_record *record);

#endif
