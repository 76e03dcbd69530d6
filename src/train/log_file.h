/* A file of a run that grows: what is added to it waits in memory until it is written,
 * and where it cannot be written, or only in part, until it can. */
#ifndef TRAIN_LOG_FILE_H
#define TRAIN_LOG_FILE_H

#include "base/status.h"
#include "train/run_life.h"

#include <stddef.h>
#include <stdio.h>

/* Start with {0}. */
struct log_file {
    char path[RUN_LIFE_PATH_SIZE];
    FILE *earlier; /* until it is begun: for what earlier lives have written */
    FILE *added;   /* what is not in the file yet: text [n_text], but for its beginning;
                      NULL: there is no such file */
    char *text;
    size_t n_text, n_written;

    int fd;
    char temporary[RUN_LIFE_PATH_SIZE]; /* its name until it is begun; else "" */
};

/* Opens a new file, which is to become path. An earlier life may still have the old one
 * open: what it adds goes nowhere. Errors: IO, ARGUMENT, MEMORY. Root. */
convoy_status log_file_open(struct log_file *log, const struct run_life *life,
                            const char *path);

/* Writes earlier and added, and gives the file its name. Errors: IO, MEMORY, those of
 * run_life_commit. Root. */
convoy_status log_file_begin(struct log_file *log, const struct run_life *life);

/* Writes what was added. What fails is not lost, but written before what comes next.
 * Errors: IO, MEMORY. Nothing to do without a file. Root. */
convoy_status log_file_flush(struct log_file *log);

/* Removes a file that was not begun. */
void log_file_close(struct log_file *log);

#endif
