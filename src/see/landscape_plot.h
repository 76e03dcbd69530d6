/* Pictures of a loss landscape, by gnuplot, as SVG files. */
#ifndef SEE_LANDSCAPE_PLOT_H
#define SEE_LANDSCAPE_PLOT_H

#include "see/landscape_surface.h"

/* top: the loss that drawings end at, above 0, from a fiftieth of it; 0: from the
 * lowest to the highest, or to 10^4 times the lowest. Writes into folder, of a plane,
 * contours.svg and surface.svg; of a line, line.svg. Local. Errors: those of
 * gnuplot_draw, and IO (no loss lies below the top, or there is none, too): the text
 * says why; what was drawn before stays. */
convoy_status landscape_plot_write(const struct landscape_surface *surface, double top,
                                   const char *folder);

#endif
