/* Writes one pack file: create, begin, add × n_records, commit. */
#ifndef PACK_PACK_WRITER_H
#define PACK_PACK_WRITER_H

#include "pack/source.h"

struct pack_writer;

/* Makes the temporary file beside output, so that a place that cannot be written shows
 * before any work. *writer is new; free with pack_writer_destroy. */
convoy_status pack_writer_create(const char *output, struct pack_writer **writer);

/* Makes room for what facts say is to come. facts is copied, but its class names are
 * borrowed until commit. */
convoy_status pack_writer_begin(struct pack_writer *writer,
                                const struct source_facts *facts);

/* Appends a record. FORMAT where it is more than begin was told of. */
convoy_status pack_writer_add(struct pack_writer *writer,
                              const struct source_record *record);

/* Writes the index, syncs, and gives the file its name. FORMAT where records or bytes
 * are missing. */
convoy_status pack_writer_commit(struct pack_writer *writer);

/* Removes the temporary file unless committed. Takes NULL. */
void pack_writer_destroy(struct pack_writer *writer);

#endif
