/* Packs: a data set as one HDF5 file, or a folder of some, whose records any number of
 * threads can read with pread (docs/pack-format.md describes the files).
 *
 * Threads: convoy_pack_open, _create, _check and _verify use HDF5 or OpenMP, so one
 * thread at a time in all of convoy may be in them. What takes an open pack only and is
 * Local may be called by any number of threads at once, until convoy_pack_close.
 */
#ifndef CONVOY_PACK_H
#define CONVOY_PACK_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stddef.h>
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
    int part;    /* 0-based; -1: the whole of a pack of several parts */
    int n_parts;
    convoy_encoding encoding;
    int shape[3]; /* raw: channels, height, width; else 0 */
    uint64_t n_records;
    uint64_t n_bytes;       /* of all records together */
    uint64_t largest_bytes; /* of the largest record */
    int n_classes;
} convoy_pack_info;

typedef struct convoy_pack convoy_pack;

/* Opens and validates a pack: everything but the records' own checksums. Local. path is
 * a pack's file; its folder, where it is in parts, all of which must be there; or one
 * of the parts, alone. *pack is new; free with convoy_pack_close. Errors: IO (cannot
 * open), FORMAT (no pack, truncated, inconsistent, parts missing; the text names the
 * file and the object). */
convoy_status convoy_pack_open(const char *path, convoy_pack **pack);

/* Takes NULL. Local. */
void convoy_pack_close(convoy_pack *pack);

/* Borrowed until close. Local. */
const convoy_pack_info *convoy_pack_describe(const convoy_pack *pack);

/* What the index says of a record. */
typedef struct convoy_pack_record {
    uint64_t n_bytes;  /* at least 1, at most largest_bytes */
    int label;         /* 0 <= label < n_classes */
    int width, height; /* pixels */
} convoy_pack_record;

/* Describes record index. Local; any number of threads at once. Error: ARGUMENT (no
 * such record). */
convoy_status convoy_pack_find(const convoy_pack *pack, uint64_t index,
                               convoy_pack_record *record);

/* Reads record index into bytes, which has room for size bytes: at least its n_bytes.
 * largest_bytes are enough for any. What is read is, of a raw pack, u8 [c, h, w] of the
 * pack's shape, row-major; else a whole image file as it was packed: a JPEG or a PNG,
 * which begins with the bytes 89 50 4E 47. Checks the record's checksum. Local; any
 * number of threads at once, each with bytes of its own: no HDF5 call, no lock, no
 * memory is allocated. Errors: ARGUMENT (no such record, or size is too small), IO,
 * FORMAT (damaged; the text names pack and record): then bytes may be partly
 * overwritten. */
convoy_status convoy_pack_read(const convoy_pack *pack, uint64_t index, void *bytes,
                               uint64_t size);

/* Name of class index, 0 <= index < n_classes; borrowed until close. Local. */
const char *convoy_pack_class_name(const convoy_pack *pack, int index);

/* How many records each class has; counts: [n_classes]. Local. */
void convoy_pack_count_labels(const convoy_pack *pack, uint64_t *counts);

/* How many things the source had that are not in the pack, and one line on each: which
 * and why; 0 <= index < count; borrowed until close. Local. */
size_t convoy_pack_count_left_out(const convoy_pack *pack);
const char *convoy_pack_left_out(const convoy_pack *pack, size_t index);

/* {0} is the default. Texts may be NULL. */
typedef struct convoy_pack_options {
    /* Only these classes: names, indices and ranges of indices with commas between,
     * "0-4" or "cat,dog,7"; NULL: all. They are numbered anew from 0 in the order of
     * their indices and keep their names. */
    const char *classes;
    /* Path of another pack: records get the number that it gives to a class of the same
     * name, and this pack has all its classes, also those without a record: so a
     * validation set that lacks a class fits its training set. Of a set that has other
     * classes, too, choose with classes. */
    const char *classes_of;
    uint64_t max_per_class; /* only the first so many records of each class; 0: all */
    const char *devkit; /* ImageNet's development kit, its archive or folder: it labels
                           validation images, and other classes must be its own */
    const char *inside; /* of an archive, only what lies in this folder */
    const char *split;  /* "train" or "test": of CIFAR, where both are there */
    int parts;          /* 1: a file; 2 to 512: a folder of as many files; 0: by size */
    int max_side; /* images with a longer side are made smaller, so that it has this
                     many pixels (16 to 65535), and become JPEGs; 0: never */
    int quality;  /* of those JPEGs, 1 to 100; 0: 90 */
    bool strict;  /* fail at the first thing that has to be left out */
    int threads;  /* of this rank, 1 to 1024; 0: as OpenMP has it */
    /* Several ranks that pack together, each of which calls convoy_pack_create with the
     * same arguments but for rank: 0 <= rank < size, and agree makes the ranks learn
     * how all fared (convoy_world_agree). size 0 or 1: this process alone, agree may be
     * NULL. */
    int rank, size;
    convoy_status (*agree)(void *context, convoy_status status);
    void *agree_context;
    /* Called now and then from the calling thread, NULL for never: this rank's records
     * done and in all. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_pack_options;

/* Packs source into output, which is a file or, for several parts, a folder. Local, or
 * collective over options->size ranks.
 *
 * source is one of
 * - a folder with one subfolder a class, which holds JPEG and PNG images at any depth;
 *   hidden files and what systems leave ("__MACOSX", "Thumbs.db") are passed over, and
 *   folders such as Train and Test are no classes, unless options->classes names them;
 * - a tar archive of such folders (those that all files have in common are taken off),
 *   or of one tar archive a class; packed with gzip, bzip2, xz or zstd, or not; links
 *   within it are followed, as those of folders are;
 * - with a devkit, a folder or archive of ImageNet's validation images;
 * - an IDX images file (packed or not; its labels file lies beside it);
 * - CIFAR-10 or CIFAR-100 in binary form: the folder, the archive or one of the files.
 * Classes of folders are numbered in byte order of their names, and the records of a
 * class come in byte order of their paths; other records keep their order.
 *
 * Images are kept byte for byte, but for max_side. Each is proven: what is no image
 * that decodes, or belongs to no class, is left out, and convoy_pack_left_out tells of
 * it. A file appears, or is replaced, only when complete. A folder is filled part by
 * part, and when that was interrupted, the same call goes on with the parts that are
 * missing or whose files have changed since; the records, their order and the pack's id
 * depend on source and options only, but for parts, threads and ranks.
 *
 * options may be NULL. Of several ranks, each needs to see source and output at the
 * same paths. The folder that output lies in is made. Errors: IO (the text names the
 * file; a place that cannot be written shows before any work), FORMAT (a file that does
 * not hold what it should), ARGUMENT (no source reads this path; output lies in it, or
 * holds something else; options leave nothing, or do not fit), UNSUPPORTED (a form of
 * file that is not read, more than 2^32 - 1 names), MEMORY, LIBRARY (HDF5 or MPI),
 * ELSEWHERE (another rank has the text). An output that was there before is then as it
 * was, but for the parts of a folder that were finished. */
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
