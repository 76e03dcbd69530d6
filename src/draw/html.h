/* Writing HTML: text from files goes through these, so that nothing of it is markup.
 * Whether it was written, the stream's ferror tells. Local, all of it. */
#ifndef DRAW_HTML_H
#define DRAW_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Text, within elements and quoted attributes. Control characters but tab and new line,
 * and bytes that are not UTF-8, become U+FFFD. NULL writes nothing. */
void html_text(FILE *stream, const char *text);

/* printf, through html_text; what is longer than a few hundred bytes is cut. */
void html_print(FILE *stream, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The rules of style that our pages share, for screens of any width and for paper; to
 * go into a style element. */
void html_write_style(FILE *stream);

/* n bytes of a picture and the like, for a src; type: "image/png". */
void html_data_uri(FILE *stream, const char *type, const void *bytes, size_t n);

/* Numbers for people: three digits that count, "1,234,567", and "–" for what is not
 * finite. */
enum { HTML_NUMBER_SIZE = 48 };
const char *html_number(double value, char out[HTML_NUMBER_SIZE]);
const char *html_count(uint64_t value, char out[HTML_NUMBER_SIZE]);
/* "12.3 ms", "1.20 s", "4 min 05 s", "3 h 20 min", "5 d 2 h"; "1.23 GiB"; "93.4 %". */
const char *html_seconds(double value, char out[HTML_NUMBER_SIZE]);
const char *html_bytes(double value, char out[HTML_NUMBER_SIZE]);
const char *html_percent(double share, char out[HTML_NUMBER_SIZE]);

#endif
