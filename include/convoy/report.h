/* Reports over run directories: how fast trainings ran on how many nodes and cores, and
 * how well that scales (docs/scaling.md has what the words mean). No MPI. */
#ifndef CONVOY_REPORT_H
#define CONVOY_REPORT_H

#include <convoy/status.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_report convoy_report;

/* Reads n folders: each is a run directory, or holds some. Local. Runs that cannot be
 * read, are damaged, have no steady step or are of an older convoy are passed over
 * while others remain. *report is new; free with convoy_report_destroy. Errors: IO;
 * FORMAT (a folder is or holds no run, or all runs would be passed over: the text says
 * why), ARGUMENT (a path is too long), MEMORY. */
convoy_status convoy_report_create(const char *const *folders, int n,
                                   convoy_report **report);

/* Writes tables for people: each study of steps of one batch size on several sizes of
 * machine (strong scaling), or of one batch size a core (weak), is one; runs that
 * compute other things are apart. What was passed over is told at the end. Local.
 * Error: IO. */
convoy_status convoy_report_write_text(const convoy_report *report, FILE *stream);

/* The same as a line of names and a line for each row, with commas between. A row of
 * two tables is there twice. Local. Error: IO. */
convoy_status convoy_report_write_csv(const convoy_report *report, FILE *stream);

/* Writes a line for each run that was passed over, which the CSV does not tell: its
 * path and why. Local. Error: IO. */
convoy_status convoy_report_write_passed(const convoy_report *report, FILE *stream);

/* Writes the efficiency of one run, over the steady steps of its newest life, to path,
 * as the JSON that TALP of the DLB library writes: the old file or the whole new one.
 * folder: a run directory. Local. Errors: IO, MEMORY; FORMAT (it has no sound
 * timeline.json: the text says why), ARGUMENT (a path is too long). */
convoy_status convoy_report_save_talp(const char *folder, const char *path);

/* Takes NULL. Local. */
void convoy_report_destroy(convoy_report *report);

#ifdef __cplusplus
}
#endif
#endif
