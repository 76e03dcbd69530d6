/* Reports over run directories: how trainings went, how fast they ran on how many nodes
 * and cores, and how well that scales (docs/scaling.md has what the words mean). No
 * MPI.
 */
#ifndef CONVOY_REPORT_H
#define CONVOY_REPORT_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_report convoy_report;

/* Reads n folders: each is a run directory, or holds some. Local. Whatever of a run can
 * be read is in the report; what cannot, and runs that the tables of speed do not count
 * (they have no steady step, are damaged or of an older convoy), it names. *report is
 * new; free with convoy_report_destroy. Errors: ARGUMENT (a path is too long), MEMORY.
 */
convoy_status convoy_report_create(const char *const *folders, int n,
                                   convoy_report **report);

/* OK; or FORMAT, where nothing of any run could be read, or a named folder holds no
 * run: the text says why. Local. */
convoy_status convoy_report_outcome(const convoy_report *report);

/* Whether nothing of any run could be read. Local. */
bool convoy_report_is_empty(const convoy_report *report);

/* Writes tables for people: each study of steps of one batch size on several sizes of
 * machine (strong scaling), or of one batch size a core (weak), is one; runs that
 * compute other things are apart. What was passed over is told at the end. Local.
 * Error: IO. */
convoy_status convoy_report_write_text(const convoy_report *report, FILE *stream);

/* The same as a line of names and a line for each row, with commas between. A row of
 * two tables is there twice. Local. Errors: IO; FORMAT (there is no row: why, says the
 * text, and nothing was written). */
convoy_status convoy_report_write_csv(const convoy_report *report, FILE *stream);

/* Writes a line for each run that was passed over, which the CSV does not tell: its
 * path and why. Local. Error: IO. */
convoy_status convoy_report_write_passed(const convoy_report *report, FILE *stream);

/* Writes the efficiency of one run, over the steady steps of its newest life, to path,
 * as the JSON that TALP of the DLB library writes: the old file or the whole new one.
 * folder: a run directory. Local. Errors: IO, MEMORY; FORMAT (it has no sound
 * timeline.json: the text says why), ARGUMENT (a path is too long). */
convoy_status convoy_report_save_talp(const char *folder, const char *path);

/* One JSON object: runs, with how far they came; tables, with rows as the CSV's; what
 * was passed over. Local. Error: IO. */
convoy_status convoy_report_write_json(const convoy_report *report, FILE *stream);

/* {0}: no cost is told. */
typedef struct convoy_report_options {
    double price;         /* of a node-hour */
    const char *currency; /* NULL: EUR */
} convoy_report_options;

/* Writes a page of HTML that needs nothing else: curves, tables, recipe, environment.
 * gnuplot, where it is found, draws its plots; else it has tables, and says so. options
 * may be NULL. Local. Errors: IO, MEMORY. */
convoy_status convoy_report_write_html(const convoy_report *report,
                                       const convoy_report_options *options,
                                       FILE *stream);

/* The same to a file, which is the old one or the whole new one at any time. A file
 * that is no page of convoy's, a link or a device is not replaced. Errors: IO, MEMORY.
 */
convoy_status convoy_report_save_html(const convoy_report *report,
                                      const convoy_report_options *options,
                                      const char *path);

/* Takes NULL. Local. */
void convoy_report_destroy(convoy_report *report);

#ifdef __cplusplus
}
#endif
#endif
