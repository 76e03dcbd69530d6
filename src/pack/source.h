/* Where the records of a new pack come from. A kind of source is one file source_*.c
 * that ends in its struct source_kind, and one line in source_list.h. */
#ifndef PACK_SOURCE_H
#define PACK_SOURCE_H

#include <convoy/pack.h>

#include <stddef.h>

/* What is known before the first record is read. */
struct source_facts {
    int shape[3];       /* raw: channels, height, width of every record; else 0 */
    uint64_t n_records; /* at least 1 */
    uint64_t n_bytes;   /* of all records together */
    const char *const *class_names; /* [n_classes]; borrowed until close */
    int n_classes;
};

struct source_record {
    const uint8_t *bytes; /* borrowed until the next call */
    size_t n_bytes;
    convoy_encoding encoding;
    int32_t label; /* 0 <= label < n_classes */
    uint16_t width, height;
};

/* What is known of a record before it is read. */
struct source_item {
    int32_t label;
    uint64_t n_bytes;
};

struct source_kind {
    const char *name;
    const char *expects; /* what it reads, for "expected …, … or …" */

    /* Whether path (which exists) is for this kind: by what kind of file it is, its
     * name or its first bytes; the first kind of the list that says yes gets it. */
    bool (*matches)(const char *path);

    /* Looks the source over: everything that can be refused without reading all records
     * is refused here. *source is new; free with close. */
    convoy_status (*open)(const char *path, void **source, struct source_facts *facts);

    /* Of record i, 0 <= i < n_records. */
    struct source_item (*describe)(const void *source, uint64_t i);

    /* The next of n_records records; their order does not depend on the machine. Errors
     * name the file. */
    convoy_status (*next)(void *source, struct source_record *record);

    /* Passes the next record over: what next would find wrong with it may go unseen. */
    convoy_status (*pass_over)(void *source);

    /* After the last record: whether the source holds what it claimed, and no more. */
    convoy_status (*finish)(void *source);

    /* Takes NULL. */
    void (*close)(void *source);
};

#endif
