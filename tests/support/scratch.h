/* A temporary folder for the files of one test, and whole files in and out of it. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_PATH = 512 };

/* Makes a new folder under $TMPDIR or /tmp. */
static inline int scratch_make(char folder[SCRATCH_PATH])
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, SCRATCH_PATH, "%s/convoy-test-XXXXXX",
             base && *base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int scratch_drop_entry(const char *path, const struct stat *info,
                                     int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

/* Removes the folder and everything in it. */
static inline int scratch_remove(const char *folder)
{
    return nftw(folder, scratch_drop_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* folder/name; the result lives until the 16th next call. */
static inline const char *scratch_path(const char *folder, const char *name)
{
    static char paths[16][2 * SCRATCH_PATH];
    static int next;
    next = (next + 1) % 16;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static inline int scratch_write(const char *path, const void *bytes, size_t n)
{
    FILE *stream = fopen(path, "wb");
    if (!stream)
        return -1;
    size_t wrote = fwrite(bytes, 1, n, stream);
    return fclose(stream) == 0 && wrote == n ? 0 : -1;
}

/* The whole file, malloc'ed; NULL if it cannot be read. */
static inline unsigned char *scratch_read(const char *path, size_t *n)
{
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return NULL;
    fseek(stream, 0, SEEK_END);
    long size = ftell(stream);
    rewind(stream);
    unsigned char *bytes = malloc((size_t)size + 1);
    *n = bytes ? fread(bytes, 1, (size_t)size, stream) : 0;
    fclose(stream);
    return bytes;
}

#endif
