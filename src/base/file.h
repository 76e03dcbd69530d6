/* Files and folders, with errors that name the path. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* Opens a file to read; *info is its fstat. Close *fd. IO where it cannot be opened,
 * FORMAT for a folder, pipe, socket or device: opening one of these may wait for ever,
 * and none has a size. */
convoy_status file_open(const char *path, int *fd, struct stat *info);

/* Reads exactly n bytes at offset, retrying short reads; path is for the message. */
convoy_status file_read_at(int fd, const char *path, uint64_t offset, void *out,
                           size_t n);

/* Writes exactly n bytes at offset, retrying short writes; path is for the message. */
convoy_status file_write_at(int fd, const char *path, uint64_t offset,
                            const void *bytes, size_t n);

/* Room for n bytes of the file at offset; returns 0, or the number of an error. Goes on
 * after signals. */
int file_reserve(int fd, uint64_t offset, uint64_t n);

/* The whole file as new text with a 0 at its end; free with mem_free. */
convoy_status file_read_all(const char *path, char **text, size_t *n);

/* Makes the folder and its parents; content that exists is fine. */
convoy_status file_make_folder(const char *path);

/* When the file was last changed, in ns since 1970. */
int64_t file_changed_ns(const struct stat *info);

bool file_exists(const char *path);
bool file_is_folder(const char *path);

/* folder + "/" + name into out; fails where it does not fit. */
convoy_status file_join(const char *folder, const char *name, char *out, size_t size);

/* Makes a new empty file beside path, to become path's once it is whole: its name,
 * "PATH.HOST-PROCESS.tmp", goes into temporary [size], and *fd is open for reading and
 * writing. Nothing that is there is opened: no other process's file, no symbolic link.
 * Errors: ARGUMENT (the path is too long), IO. */
convoy_status file_make_temporary(const char *path, char *temporary, size_t size,
                                  int *fd);

/* Writes text under a temporary name beside path, syncs it, then renames it to path:
 * path is the old file or the whole new one, whenever the machine stops. */
convoy_status file_write_whole(const char *path, const char *text, size_t n);

/* The same for a file that write makes under the name that it is given, as libraries
 * that open files by name do: an empty file of that name is there. What write returns
 * ends it. */
convoy_status file_write_by(const char *path,
                            convoy_status (*write)(const char *temporary,
                                                   const void *contents),
                            const void *contents);

/* Syncs the file from (already written and closed) and renames it to path; syncs the
 * folder too. */
convoy_status file_commit(const char *from, const char *path);

#endif
