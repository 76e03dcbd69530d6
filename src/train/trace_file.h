/* A trace as a file: Chrome's Trace Event Format, which chrome://tracing and
 * ui.perfetto.dev show. */
#ifndef TRAIN_TRACE_FILE_H
#define TRAIN_TRACE_FILE_H

#include "train/trainer.h"

/* Whether the options make sense for so many ranks, and rank 0 could write the file,
 * which is not touched: it is none of the run's in folder, and no link, pipe or device.
 * Local. Errors: ARGUMENT, IO. */
convoy_status trace_file_check(const convoy_world *world,
                               const convoy_trace_options *options, const char *folder);

/* Makes the trainer's trace, if any of the steps is to come; else there is none. end:
 * the run's last step. options may be NULL. Collective; ranks agree. Errors: ARGUMENT
 * (no step of the run), MEMORY. */
convoy_status trace_file_begin(convoy_trainer *trainer,
                               const convoy_trace_options *options, uint64_t end);

/* Before a step: compares clocks before the first that is traced. Collective. LIBRARY.
 */
convoy_status trace_file_before_step(convoy_trainer *trainer);

/* Writes the trace, if traced steps were taken and the last of them was, or is_end.
 * *is_written: now. Whether all could is in each's trace's failure, for the run's end.
 * Collective. Errors: MEMORY, LIBRARY. */
convoy_status trace_file_after_step(convoy_trainer *trainer,
                                    const convoy_trace_options *options, bool is_end,
                                    bool *is_written);

#endif
