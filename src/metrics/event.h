/* TensorBoard's event files: records, each a message Event of Protocol Buffers, one
 * after another. Records are added whole; the end of one that was being written when
 * its writer was killed is no record, and readers leave it out. */
#ifndef METRICS_EVENT_H
#define METRICS_EVENT_H

#include "base/status.h"
#include "metrics/metric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* When, and after how many steps. */
struct event_moment {
    double time_s; /* since 1970 */
    uint64_t step;
};

struct event_scalar {
    const char *tag;
    double value; /* kept as f32 */
};

struct event_image {
    const char *tag;
    int width, height, channels; /* 1: grey, 3: RGB */
    const void *png;             /* [n] */
    size_t n;
};

/* Each adds a record to the stream, at once. Whether it was written, the stream's
 * ferror tells. Local. Errors: MEMORY. */

/* What a file begins with. */
convoy_status event_write_version(FILE *stream, double time_s);

/* A program begins, or goes on, after moment.step steps: records of later ones that are
 * already there, in this file or an earlier one of its folder, are no longer true. */
convoy_status event_write_start(FILE *stream, struct event_moment moment);

/* n scalars in one record. */
convoy_status event_write_scalars(FILE *stream, struct event_moment moment,
                                  const struct event_scalar *scalars, int n);

convoy_status event_write_image(FILE *stream, struct event_moment moment,
                                const struct event_image *image);

/* What was found in a file. */
struct event_kept {
    int n_summaries; /* kept: records of scalars and images */
    bool is_all;     /* every byte was */
};

/* Writes the file's records up to those of step to the stream, without what is no
 * record, which ends it. Whether they were written, the stream's ferror tells. Local.
 * Errors: IO, MEMORY. */
convoy_status event_copy_earlier(const char *path, uint64_t step, FILE *stream,
                                 struct event_kept *kept);

/* A metric that becomes a scalar. */
struct event_tag {
    enum metric_kind kind;
    const char *column; /* of metric_tables[kind] */
    const char *tag;
};

extern const struct event_tag event_tags[];
extern const int n_event_tags;

enum { EVENT_MAX_SCALARS = 32 };

/* The scalars of a line of metrics: values is a struct of that kind. Returns how many.
 */
int event_scalars_of(enum metric_kind kind, const void *values,
                     struct event_scalar scalars[EVENT_MAX_SCALARS]);

#endif
