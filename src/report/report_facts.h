/* What decides how fast a run can be, besides where it ran: versions, instruction set,
 * pack, and the recipe but for what a study varies (batch.size) and what costs no time.
 * Local, all of it. */
#ifndef REPORT_REPORT_FACTS_H
#define REPORT_REPORT_FACTS_H

#include "base/status.h"

#include <stddef.h>

/* Of the run directory folder: *facts, lines "name: value\n", and *model, its model's
 * name; both new, free with mem_free. Errors: IO, FORMAT, MEMORY. */
convoy_status report_facts_read(const char *folder, char **facts, char **model);

/* Of a recipe's text as convoy writes it: *facts, a line "key.path: value\n" for each
 * line, new; free with mem_free. Errors: FORMAT (it has no model.name), MEMORY. */
convoy_status report_facts_of_recipe(const char *recipe, char **facts);

/* The first lines in which a and b, which are not the same, differ, without their ends;
 * "" where one has no more. */
void report_facts_difference(const char *a, const char *b, char *of_a, char *of_b,
                             size_t size);

/* The value of the fact name into out, unquoted; "": there is none. */
void report_facts_value(const char *facts, const char *name, char *out, size_t size);

#endif
