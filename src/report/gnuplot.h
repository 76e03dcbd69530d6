/* gnuplot as a child process. Local. */
#ifndef REPORT_GNUPLOT_H
#define REPORT_GNUPLOT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Has gnuplot, found along PATH, draw the n bytes of script, which must make it write
 * an SVG to its output. No shell and no file of the user's is read on the way. *svg:
 * new, its end is 0; free with mem_free. *is_absent: there is no such program. Errors:
 * IO (it is absent, failed, or took more than half a minute: the text has the first
 * line of what it said), MEMORY. */
convoy_status gnuplot_draw(const char *script, size_t n, char **svg, bool *is_absent);

#endif
