/* Records kept on this machine: on its own disk or in its memory, in place of a file
 * system that all share.
 *
 * The records of a pack are divided into parts, contiguous ranges in order. A process
 * holds one part: it reads it from the pack once, checks it, and keeps it in a file
 * that has no name any more, so it is gone when its last process has ended, however it
 * ended. Other processes of the machine open the same file by process number and
 * descriptor; which are on the same machine, and how records of other machines come, is
 * their callers' business. No MPI here.
 */
#ifndef LOAD_RECORD_STORE_H
#define LOAD_RECORD_STORE_H

#include "pack/pack.h"

#include <stdbool.h>

enum record_place { RECORD_DISK, RECORD_MEMORY };

struct record_store;

/* New; free with record_store_destroy. Part p holds the records from ends[p - 1] (0 for
 * the first part) to below ends[p]; ends: [n_parts], not falling, at most the pack's
 * records. pack is borrowed. Errors: MEMORY. */
convoy_status record_store_create(const convoy_pack *pack, const uint64_t *ends,
                                  int n_parts, struct record_store **store);

/* Takes NULL. */
void record_store_destroy(struct record_store *store);

/* How many bytes part has. */
uint64_t record_store_bytes(const struct record_store *store, int part);

/* Which part has the record; -1: none. */
int record_store_part(const struct record_store *store, uint64_t record);

/* Whether record_store_read can read the part. */
bool record_store_has(const struct record_store *store, int part);

/* Whether so many bytes fit at place, for a message that says what to do before
 * anything is written. folder: of RECORD_DISK. Errors: ARGUMENT (too little room; the
 * text has the numbers), IO. */
convoy_status record_store_check_room(const struct record_store *store,
                                      enum record_place place, const char *folder,
                                      uint64_t bytes);

/* Reads the part from the pack and keeps it. With tolerant, damaged records are kept as
 * they are, to be found again at each read. *fd: for record_store_open, borrowed; -1 of
 * an empty part. Errors: those of pack_read, IO (no room after all). */
convoy_status record_store_hold(struct record_store *store, int part,
                                enum record_place place, const char *folder,
                                bool tolerant, int *fd);

/* Opens the part that another process of this machine holds with descriptor fd of its
 * own. Errors: IO. */
convoy_status record_store_open(struct record_store *store, int part,
                                enum record_place place, int pid, int fd);

/* As pack_read, of a record whose part is here. In memory the record's bytes are not
 * copied. Local; any number of threads at once. */
convoy_status record_store_read(const struct record_store *store, uint64_t record,
                                void **buffer, size_t *capacity,
                                struct pack_record *read);

/* The bytes of such a record, unchecked, to out. */
convoy_status record_store_copy(const struct record_store *store, uint64_t record,
                                void *out);

#endif
