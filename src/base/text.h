/* Small questions about texts. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

enum { TEXT_MAX_EDITS = 255 };

/* How unlike two names are: insertions, deletions, replacements and swaps of neighbours
 * that turn a into b (optimal string alignment). Bytes past TEXT_MAX_EDITS do not
 * count. */
int text_edits(const char *a, const char *b);

/* The text without the byte order mark that editors put before UTF-8. */
const char *text_behind_mark(const char *text);

#endif
