/* Packs: a data set as one HDF5 file whose records any number of threads can read with
 * pread (docs/pack-format.md describes the file).
 */
#ifndef CONVOY_PACK_H
#define CONVOY_PACK_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum convoy_encoding {
    CONVOY_ENCODING_RAW,  /* u8 [c, h, w], one shape for all records */
    CONVOY_ENCODING_JPEG, /* image files; a record may also be a PNG */
    CONVOY_ENCODING_PNG   /* image files, all PNG */
} convoy_encoding;

typedef struct convoy_pack_info {
    char id[33]; /* 32 hex digits over records, labels and class names */
    int version; /* of the format: 1 */
    int part;    /* 0-based */
    int n_parts;
    convoy_encoding encoding;
    int shape[3]; /* raw: channels, height, width; else 0 */
    uint64_t n_records;
    uint64_t n_bytes; /* of all records together */
    int n_classes;
} convoy_pack_info;

typedef struct convoy_pack convoy_pack;

/* Opens and validates a pack: everything but the records' own checksums. Local.
 * *pack is new; free with convoy_pack_close.
 * Errors: IO (cannot open), FORMAT (no pack, truncated, inconsistent; the text names
 * the file and the object). */
convoy_status convoy_pack_open(const char *path, convoy_pack **pack);

/* Takes NULL. Local. */
void convoy_pack_close(convoy_pack *pack);

/* Borrowed until close. Local. */
const convoy_pack_info *convoy_pack_describe(const convoy_pack *pack);

/* Name of class index, 0 <= index < n_classes; borrowed until close. Local. */
const char *convoy_pack_class_name(const convoy_pack *pack, int index);

/* How many records each class has; counts: [n_classes]. Local. */
void convoy_pack_count_labels(const convoy_pack *pack, uint64_t *counts);

typedef struct convoy_pack_options {
    /* Only these classes: names, indices and ranges of indices with commas between,
     * "0-4" or "cat,dog,7"; NULL: all. They are numbered anew from 0 in the order of
     * their indices and keep their names. */
    const char *classes;
    uint64_t max_per_class; /* only the first so many records of each class; 0: all */
    /* Called now and then from the calling thread, NULL for never: records of the
     * source done and in all (0: not known yet). */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_pack_options;

/* Packs source into the file output. Local. source is an IDX images file (gzipped or
 * not; its labels file lies beside it), or a folder with one subfolder a class, which
 * holds JPEG and PNG images at any depth. Classes of a folder are its subfolders in
 * byte order of their names, and the records of a class come in byte order of their
 * paths; files and folders whose names start with "." are passed over. An IDX file's
 * classes are "0", "1", … up to the largest label. Images are kept byte for byte, and
 * each that the pack gets must decode. output appears, or is replaced, only when
 * complete. options may be NULL. Errors: IO (the text names the file; a place that
 * cannot be written shows before any work), FORMAT (a file that does not hold what it
 * should), ARGUMENT (no source reads this path; output lies in it; options leave
 * nothing, or ask for a class that the source does not have). */
convoy_status convoy_pack_create(const char *source, const char *output,
                                 const convoy_pack_options *options);

/* What to call while a pack is checked, from the calling thread; each may be NULL. */
typedef struct convoy_pack_checker {
    /* For each bad record, in order; text says which and why. */
    void (*bad)(void *context, uint64_t record, const char *text);
    /* Now and then: records done and in all. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_pack_checker;

/* Reads every record and checks its checksum, and that an image decodes to the size
 * that the index gives. Local; decodes with all OpenMP threads. *n_bad is the number of
 * bad records. The status is an error only where the check itself could not go on
 * (memory). */
convoy_status convoy_pack_check(const convoy_pack *pack,
                                const convoy_pack_checker *checker, uint64_t *n_bad);

/* Opens the pack at path, checks it as convoy_pack_check does, and closes it. Local.
 * bad may be NULL. Errors: as convoy_pack_open. */
convoy_status convoy_pack_verify(const char *path,
                                 void (*bad)(void *context, uint64_t record,
                                             const char *text),
                                 void *context, uint64_t *n_bad);

#ifdef __cplusplus
}
#endif
#endif
