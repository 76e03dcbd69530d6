/* Where pictures go: files, a page, and the numbers behind them. */
#ifndef SEE_SEE_OUTPUT_H
#define SEE_SEE_OUTPUT_H

#include <convoy/show.h>

#include "h5/h5.h"
#include "image/image.h"
#include "see/see_picture.h"

#include <stdio.h>

enum { SEE_PATH_SIZE = 4096 };

struct see_output {
    const convoy_show_options *options; /* borrowed */
    const char *source, *image;         /* borrowed */
    bool single;                        /* one PNG file, and no folder */
    bool writes_files;
    int n_files;
    FILE *page; /* the sections of the page, to be written by draw/html.h; NULL: there
                   is none */
    char *sections;
    size_t n_sections;
    struct h5_file *values; /* NULL: not wanted */
    char temporary[SEE_PATH_SIZE];
};

/* Makes what options ask for, and checks before anything is computed that it can be
 * written. source: the file that it is all of; image: the file
 * that is looked at, which nothing may replace, or NULL; both borrowed. *out: free with
 * see_output_close, on error, too. Errors: ARGUMENT (nothing is to be written), IO (no
 * such folder, or a file is there that is not ours). */
convoy_status see_output_open(const convoy_show_options *options, const char *source,
                              const char *image, struct see_output *out);

/* ARGUMENT where the output is one file and n pictures are more: to be asked before any
 * is written. */
convoy_status see_output_check(const struct see_output *out, int n);

/* Puts the page and the values in their places, under this title. */
convoy_status see_output_finish(struct see_output *out, const char *title);

/* How a class is called in a text: "boot", and, where its name, which may be NULL, is a
 * number, "class 7". Returns out. */
enum { SEE_CLASS_SIZE = 224 };
const char *see_output_class(const char *name, int c, char out[SEE_CLASS_SIZE]);

/* Takes {0}; what see_output_finish has not put in its place is gone. */
void see_output_close(struct see_output *out);

/* A picture as a file of this name, with ".png" behind it: characters that do not
 * belong into one become '_'. Does nothing where no files are wanted. Errors: ARGUMENT
 * (a second one, where the output is a file), IO, MEMORY. */
convoy_status see_output_file(struct see_output *out, const char *name,
                              const struct image *image);

/* A picture on the page: text is what it shows and its values, and is read where the
 * mouse rests; caption, which may be NULL, stands below. Each does nothing without a
 * page. Errors: MEMORY. */
convoy_status see_output_figure(struct see_output *out, const struct image *image,
                                const char *text, const char *caption);
/* One of a map, with text as its caption and the scale of its colours, whose ends are
 * the map's least and most times factor. */
convoy_status see_output_heat(struct see_output *out, const struct image *image,
                              const char *text, const struct heat *heat, double factor);
void see_output_heading(struct see_output *out, const char *text);
void see_output_paragraph(struct see_output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Figures between begin and end stand side by side, small; or, with captions, in
 * columns; or, a pair, where there is room. */
void see_output_begin_sheet(struct see_output *out);
void see_output_begin_columns(struct see_output *out);
void see_output_begin_pair(struct see_output *out);
void see_output_end_sheet(struct see_output *out);

/* Numbers under this name, f32 or i32; nothing where none are wanted. '/' in a layer's
 * name is for the caller to keep out. */
convoy_status see_output_values(struct see_output *out, const char *name,
                                enum h5_type type, int n_dims, const int64_t *dims,
                                const void *values);

/* A line of the outcome: to options' say. */
void see_output_say(const struct see_output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void see_output_progress(const struct see_output *out, uint64_t done, uint64_t total);

#endif
