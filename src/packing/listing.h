/* The listing of a source: every record that a pack is to have, in its order, with its
 * label and where its bytes are; made once, by one rank, without reading the records.
 * It takes about 85 bytes a record. */
#ifndef PACKING_LISTING_H
#define PACKING_LISTING_H

#include "base/hash.h"
#include "packing/texts.h"

#include <stdbool.h>
#include <stdint.h>

struct listing_entry {
    uint64_t place;   /* of its bytes: in the (unpacked) container, or in its file */
    uint64_t n_bytes; /* 0: an empty file */
    int64_t changed;  /* when its file was last changed, in ns; 0: content says */
    uint32_t name;    /* number of its name, or of its file's */
    int32_t label;
};

/* Start with {0}. */
struct listing {
    bool is_container; /* all records lie in the one file that is the source; else each
                          lies in the file of its name below the source */
    bool is_raw;       /* records are u8 [channels, height, width] of shape */
    int shape[3];
    struct texts classes; /* names, by label */
    struct texts names;   /* below the source; in a container for messages only */
    struct listing_entry *entries; /* [n] */
    size_t capacity;
    uint64_t n;
    struct texts notes; /* what was left out, and why; one a line of the summary */
    char content[33];   /* hash of the records' bytes where these were read, or "" */
};

/* Whether a file or folder whose name is these n bytes is passed over: hidden ones, and
 * what systems leave in folders and archives by themselves ("__MACOSX", "Thumbs.db").
 */
bool listing_passes_over(const char *name, size_t n);

/* Appends an entry whose name is number name of listing->names. */
convoy_status listing_add(struct listing *listing, size_t name, uint64_t place,
                          uint64_t n_bytes, int32_t label);

const char *listing_name(const struct listing *listing, uint64_t i);

/* All records together. */
uint64_t listing_bytes(const struct listing *listing, uint64_t first, uint64_t n);

/* Orders the entries by label, then by name. */
void listing_sort(struct listing *listing);

/* Feeds the hash with what all records together are: names, labels, classes, and
 * content where it was read. */
void listing_hash(const struct listing *listing, struct hash *hash);

/* Feeds the hash with what shows whether the records from first up to end are still the
 * same: sizes, and when their files were changed. */
void listing_hash_state(const struct listing *listing, uint64_t first, uint64_t end,
                        struct hash *hash);

/* Feeds the hash with the notes. */
void listing_hash_notes(const struct listing *listing, struct hash *hash);

/* Writes and reads the listing with a line of the caller's, for the other ranks of the
 * same job: the file is in this machine's own format. */
convoy_status listing_save(const struct listing *listing, const char *line,
                           const char *path);
convoy_status listing_load(const char *path, char **line, struct listing *listing);

/* It is then {0}. */
void listing_free(struct listing *listing);

#endif
