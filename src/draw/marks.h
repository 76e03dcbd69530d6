/* Round numbers for axes. Local. */
#ifndef DRAW_MARKS_H
#define DRAW_MARKS_H

enum { MARKS_MAX = 32 };

/* Numbers that rise. */
struct marks {
    double at[MARKS_MAX];
    int n;
};

/* A step of 1, 2 or 5 times a power of ten with which a length, above 0, has at most
 * most steps. */
double marks_step(double length, int most);

/* Round numbers from low to high > low, as close together as at most most of them
 * allow, 2 to MARKS_MAX - 1: in even steps; or of a logarithmic axis, 0 < low, the same
 * ones in each power of ten, of which those that have no room at the end are left out.
 */
void marks_even(double low, double high, int most, struct marks *marks);
void marks_log(double low, double high, int most, struct marks *marks);

#endif
