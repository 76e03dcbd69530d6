/* Writes one file of a pack: create, add each record, commit. */
#ifndef PACKING_PACK_WRITER_H
#define PACKING_PACK_WRITER_H

#include <convoy/pack.h>

#include "packing/texts.h"

#include <stdint.h>

struct new_record {
    const uint8_t *bytes; /* borrowed for the call */
    size_t n_bytes;       /* at least 1 */
    convoy_encoding encoding;
    int32_t label; /* 0 <= label < number of classes */
    uint16_t width, height;
};

/* What is known of the file before its records. */
struct pack_facts {
    int shape[3]; /* raw: channels, height, width of every record; else 0 */
    const struct texts *classes; /* names, by label; borrowed */
    int part, n_parts;
    const char *plan;  /* what binds the parts of a pack together; borrowed */
    const char *state; /* NULL, or that of the sources it was made of; borrowed */
};

struct pack_writer;

/* Makes the temporary file beside output, so that a place that cannot be written shows
 * before any work. facts are copied. *writer is new; free with pack_writer_destroy. */
convoy_status pack_writer_create(const char *output, const struct pack_facts *facts,
                                 struct pack_writer **writer);

/* Appends a record. */
convoy_status pack_writer_add(struct pack_writer *writer,
                              const struct new_record *record);

/* Notes what was left out, and why. */
convoy_status pack_writer_note(struct pack_writer *writer, const char *text);

/* Writes the index, syncs, and gives the file its name. FORMAT where it has no records
 * and is the only part. */
convoy_status pack_writer_commit(struct pack_writer *writer);

/* Removes the temporary file unless committed. Takes NULL. */
void pack_writer_destroy(struct pack_writer *writer);

#endif
