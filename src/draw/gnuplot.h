/* gnuplot as a child process. Local. */
#ifndef DRAW_GNUPLOT_H
#define DRAW_GNUPLOT_H

#include "base/status.h"

#include <stddef.h>

/* How it ended: of those that are not to be tried again the reason. */
enum gnuplot_end { GNUPLOT_ENDED, GNUPLOT_ABSENT, GNUPLOT_HANGS };

/* Has gnuplot, found along PATH, draw the n bytes of script, which must make it write
 * an SVG to its output. No shell and no file of the user's is read on the way. *svg:
 * new, its end is 0; free with mem_free. *end is set on errors, too. Errors:
 * IO (it is absent, failed, or took more than half a minute: the text has the first
 * line of what it said), MEMORY. */
convoy_status gnuplot_draw(const char *script, size_t n, char **svg,
                           enum gnuplot_end *end);

#endif
