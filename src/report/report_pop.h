/* Efficiency of a report's rows, taken apart (report/pop.h). Local, all of it. */
#ifndef REPORT_REPORT_POP_H
#define REPORT_REPORT_POP_H

#include "report/pop.h"
#include "report/report_table.h"

#include <stdbool.h>

struct report_pop {
    struct pop pop;
    double scaling, global; /* against base; not a number: base does not tell */
};

/* Of a row against the first of its table, base, which may be the row. false: its runs
 * do not tell (they are of an older convoy). */
bool report_pop(const struct report_row *base, const struct report_row *row,
                struct report_pop *pop);

/* What a line says of it into ranks, and what others say into a mean. */
void report_pop_take(const struct metric_ranks *line, struct report_ranks *ranks);
void report_pop_add(struct report_ranks *mean, const struct report_ranks *other);

/* Below a table, a line for each row that tells; and the columns of the CSV, each with
 * a comma before it, empty where a row does not. */
void report_pop_write_text(const convoy_report *report,
                           const struct report_table *table, FILE *stream);
void report_pop_write_names(FILE *stream);
void report_pop_write_fields(const struct report_row *base,
                             const struct report_row *row, FILE *stream);

#endif
