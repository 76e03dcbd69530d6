/* The distance between two names, row by row: row[j] is the number of edits from the
 * part of a seen so far to the first j bytes of b. A swap looks two rows back. */
#include "base/text.h"

#include <string.h>

static int least(int a, int b)
{
    return a < b ? a : b;
}

int text_edits(const char *a, const char *b)
{
    int rows[3][TEXT_MAX_EDITS + 1];
    const int n_a = (int)strnlen(a, TEXT_MAX_EDITS);
    const int n_b = (int)strnlen(b, TEXT_MAX_EDITS);
    for (int j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (int i = 0; i < n_a; i++) {
        const int *before = rows[(i + 2) % 3], *above = rows[i % 3];
        int *row = rows[(i + 1) % 3];
        row[0] = i + 1;
        for (int j = 0; j < n_b; j++) {
            row[j + 1] =
                least(above[j] + (a[i] != b[j]), 1 + least(above[j + 1], row[j]));
            if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
                row[j + 1] = least(row[j + 1], before[j - 1] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *text_behind_mark(const char *text)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t n = sizeof mark - 1;
    return strncmp(text, mark, n) == 0 ? text + n : text;
}
