/* Reading the records of a listed source. */
#ifndef PACKING_SOURCE_READER_H
#define PACKING_SOURCE_READER_H

#include "packing/listing.h"

struct source_reader;

/* path is that of the listed source; listing is borrowed until close. *reader is new;
 * free with source_reader_close. */
convoy_status source_reader_open(const char *path, const struct listing *listing,
                                 struct source_reader **reader);

/* Takes NULL. */
void source_reader_close(struct source_reader *reader);

/* Whether records must be read by one thread at a time, best in the order of their
 * places. */
bool source_reader_is_serial(const struct source_reader *reader);

/* Reads all bytes of record i into *buffer, which grows as needed. Any number of
 * threads at once, unless serial. Errors name the file. */
convoy_status source_reader_read(struct source_reader *reader, uint64_t i,
                                 void **buffer, size_t *capacity);

/* "path/name" of record i, for messages. */
void source_reader_name(const struct source_reader *reader, uint64_t i, char *out,
                        size_t size);

#endif
