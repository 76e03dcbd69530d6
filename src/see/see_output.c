/* What a function of convoy/show.h writes. Pictures become files as they come; page and
 * values appear at the end, whole. A file that is there is replaced only where it is of
 * the same kind as what is written: a slip in the options must not cost anybody a
 * checkpoint. */
#include "see/see_output.h"

#include <convoy/version.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "draw/html.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 1024, HEAD_SIZE = 256 };
enum { SMALL = 64 }; /* pixels: narrower pictures are shown larger */

static const char values_mark[] = "values behind pictures";

static bool is_png_name(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".png") == 0;
}

/* IO where a file is there that does not begin with mark. */
static convoy_status check_target(const char *path, const char *mark, const char *kind)
{
    convoy_status status = CONVOY_OK;
    struct stat info;
    char head[HEAD_SIZE];
    int fd = -1;
    const size_t n = strlen(mark);
    if (lstat(path, &info) != 0)
        return CONVOY_OK;
    if (!S_ISREG(info.st_mode))
        return FAIL(CONVOY_ERROR_IO, "%s: is there, and no file that could be replaced",
                    path);
    TRY(file_open(path, &fd, &info));
    const size_t has = info.st_size < HEAD_SIZE ? (size_t)info.st_size : HEAD_SIZE;
    TRY(file_read_at(fd, path, 0, head, has));
    if (has > 0 && (has < n || memcmp(head, mark, n) != 0))
        TRY(FAIL(CONVOY_ERROR_IO,
                 "%s: is there, and no %s: give another name, or remove it", path,
                 kind));
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

/* A picture may replace another, but not the one that it is of. */
static convoy_status check_picture(const struct see_output *out, const char *path)
{
    struct stat there, image;
    if (out->image && stat(path, &there) == 0 && stat(out->image, &image) == 0 &&
        there.st_dev == image.st_dev && there.st_ino == image.st_ino)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: is the image that is looked at: give another name", path);
    return check_target(path, "\x89PNG", "PNG image");
}

/* Found before anything is computed, rather than after. */
static convoy_status check_place(const char *path)
{
    char temporary[SEE_PATH_SIZE];
    int fd = -1;
    const convoy_status status =
        file_make_temporary(path, temporary, sizeof temporary, &fd);
    if (status == CONVOY_OK) {
        close(fd);
        unlink(temporary);
    }
    return status;
}

static convoy_status check_values(const char *path)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    char *mark = NULL;
    if (!file_exists(path))
        return CONVOY_OK;
    const bool is_ours = h5_open(path, &file) == CONVOY_OK &&
                         h5_read_text(file, "/", "convoy_file", &mark) == CONVOY_OK &&
                         strcmp(mark, values_mark) == 0;
    if (!is_ours)
        status = FAIL(CONVOY_ERROR_IO,
                      "%s: is there, and no file of values: give another name, or "
                      "remove it",
                      path);
    mem_free(mark);
    h5_close(file);
    return status;
}

static convoy_status open_values(struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    int fd = -1;
    const char *path = out->options->values;
    if (!path)
        return CONVOY_OK;
    TRY(check_values(path));
    TRY(file_make_temporary(path, out->temporary, sizeof out->temporary, &fd));
    TRY(h5_create(out->temporary, &out->values));
    TRY(h5_write_text(out->values, "/", "convoy_file", values_mark));
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status see_output_open(const convoy_show_options *options, const char *source,
                              const char *image, struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    *out = (struct see_output){.options = options, .source = source, .image = image};
    if (!options->output && !options->html && !options->values)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "nothing is to be written: neither pictures, nor a page, nor values");
    if (options->output) {
        out->writes_files = true;
        out->single = is_png_name(options->output);
        if (out->single)
            TRY(check_picture(out, options->output));
        if (out->single)
            TRY(check_place(options->output));
        else
            TRY(file_make_folder(options->output));
    }
    if (options->html) {
        TRY(check_target(options->html, "<!DOCTYPE html>", "page"));
        TRY(check_place(options->html));
        out->page = open_memstream(&out->sections, &out->n_sections);
        if (!out->page)
            TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page"));
    }
    TRY(open_values(out));
cleanup:
    return status;
}

convoy_status see_output_check(const struct see_output *out, int n)
{
    if (!out->single || n <= 1)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: there is more than one picture: name one layer, or give a folder",
                out->options->output);
}

static void write_page(const struct see_output *out, const char *title, FILE *stream)
{
    char now[21];
    clock_utc(now);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          stream);
    html_text(stream, title);
    fputs(" \u2013 convoy</title>\n<style>\n", stream);
    html_write_style(stream);
    fputs("</style>\n</head>\n<body>\n<header>\n<h1>", stream);
    html_text(stream, title);
    fputs("</h1>\n</header>\n<main>\n", stream);
    fwrite(out->sections, 1, out->n_sections, stream);
    fputs("</main>\n<footer>Of ", stream);
    html_text(stream, out->source);
    fprintf(stream, ", written by convoy show %s, %s.</footer>\n</body>\n</html>\n",
            CONVOY_VERSION, now);
}

const char *see_output_class(const char *name, int c, char out[SEE_CLASS_SIZE])
{
    const bool is_number = !name || name[strspn(name, "0123456789")] == '\0';
    if (is_number && name)
        snprintf(out, SEE_CLASS_SIZE, "class %.200s", name);
    else if (is_number)
        snprintf(out, SEE_CLASS_SIZE, "class %d", c);
    else
        snprintf(out, SEE_CLASS_SIZE, "%.200s", name);
    return out;
}

static void tell_file(const struct see_output *out, const char *path)
{
    if (out->options->wrote)
        out->options->wrote(out->options->context, path);
}

static convoy_status finish_page(struct see_output *out, const char *title)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    FILE *stream = NULL;
    bool failed = ferror(out->page) != 0;
    failed = fclose(out->page) != 0 || failed;
    out->page = NULL;
    if (!failed)
        stream = open_memstream(&text, &n);
    if (stream) {
        write_page(out, title, stream);
        failed = ferror(stream) != 0;
        failed = fclose(stream) != 0 || failed;
    }
    if (failed || !stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a page"));
    TRY(file_write_whole(out->options->html, text, n));
    tell_file(out, out->options->html);
cleanup:
    free(text);
    return status;
}

static convoy_status finish_values(struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    TRY(h5_finish(out->values));
    h5_close(out->values);
    out->values = NULL;
    TRY(file_commit(out->temporary, out->options->values));
    out->temporary[0] = '\0';
    tell_file(out, out->options->values);
cleanup:
    return status;
}

convoy_status see_output_finish(struct see_output *out, const char *title)
{
    convoy_status status = CONVOY_OK;
    if (out->values)
        TRY(finish_values(out));
    if (out->page)
        TRY(finish_page(out, title));
cleanup:
    return status;
}

void see_output_close(struct see_output *out)
{
    if (out->page)
        fclose(out->page);
    free(out->sections);
    h5_close(out->values);
    if (out->temporary[0])
        unlink(out->temporary);
    *out = (struct see_output){0};
}

/* "layer1.0.conv1" stays; a name that a file brought cannot leave the folder. */
static void clean_name(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size; n++) {
        const char c = name[n];
        const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                          (c == '.' && n > 0);
        out[n] = fits ? c : '_';
    }
    out[n] = '\0';
}

static convoy_status name_file(struct see_output *out, const char *name, char *path)
{
    char file[256], clean[240];
    const convoy_status status = see_output_check(out, ++out->n_files);
    if (status != CONVOY_OK)
        return status;
    if (out->single) {
        snprintf(path, SEE_PATH_SIZE, "%s", out->options->output);
        return CONVOY_OK;
    }
    clean_name(name, clean, sizeof clean);
    snprintf(file, sizeof file, "%s.png", clean);
    return file_join(out->options->output, file, path, SEE_PATH_SIZE);
}

convoy_status see_output_file(struct see_output *out, const char *name,
                              const struct image *image)
{
    convoy_status status = CONVOY_OK;
    char path[SEE_PATH_SIZE];
    uint8_t *png = NULL;
    size_t n = 0;
    if (!out->writes_files)
        return CONVOY_OK;
    TRY(name_file(out, name, path));
    TRY(check_picture(out, path));
    TRY(image_encode_png(image, &png, &n));
    TRY(file_write_whole(path, (const char *)png, n));
    tell_file(out, path);
cleanup:
    mem_free(png);
    return status;
}

static convoy_status write_image(const struct see_output *out,
                                 const struct image *image, const char *text)
{
    convoy_status status = CONVOY_OK;
    uint8_t *png = NULL;
    size_t n = 0;
    TRY(image_encode_png(image, &png, &n));
    const int factor =
        image->width < SMALL ? (SMALL + image->width - 1) / image->width : 1;
    fprintf(out->page, "<img class=\"pixels\" width=\"%d\" height=\"%d\" src=\"",
            image->width * factor, image->height * factor);
    html_data_uri(out->page, "image/png", png, n);
    fputs("\" alt=\"", out->page);
    html_text(out->page, text);
    fputs("\" title=\"", out->page);
    html_text(out->page, text);
    fputs("\">", out->page);
cleanup:
    mem_free(png);
    return status;
}

convoy_status see_output_figure(struct see_output *out, const struct image *image,
                                const char *text, const char *caption)
{
    convoy_status status = CONVOY_OK;
    if (!out->page)
        return CONVOY_OK;
    fputs("<figure>", out->page);
    TRY(write_image(out, image, text));
    if (caption) {
        fputs("<figcaption>", out->page);
        html_text(out->page, caption);
        fputs("</figcaption>", out->page);
    }
    fputs("</figure>\n", out->page);
cleanup:
    return status;
}

/* All colours in their order. */
static convoy_status write_scale(const struct see_output *out, double least,
                                 double most)
{
    enum { STEPS = 128 };
    convoy_status status = CONVOY_OK;
    float ramp[STEPS];
    struct image image = {0};
    uint8_t *png = NULL;
    size_t n = 0;
    for (int i = 0; i < STEPS; i++)
        ramp[i] = (float)i;
    TRY(heat_draw(&(struct heat){ramp, 1, STEPS, 0, STEPS - 1}, 1, &image));
    TRY(image_encode_png(&image, &png, &n));
    fprintf(out->page, "<span class=\"scale\">%.3g <img class=\"heat\" src=\"", least);
    html_data_uri(out->page, "image/png", png, n);
    fprintf(out->page, "\" alt=\"from dark to bright\"> %.3g</span>", most);
cleanup:
    image_free(&image);
    mem_free(png);
    return status;
}

convoy_status see_output_heat(struct see_output *out, const struct image *image,
                              const char *text, const struct heat *heat, double factor)
{
    convoy_status status = CONVOY_OK;
    if (!out->page)
        return CONVOY_OK;
    fputs("<figure>", out->page);
    TRY(write_image(out, image, text));
    fputs("<figcaption>", out->page);
    html_text(out->page, text);
    TRY(write_scale(out, factor * (double)heat->least, factor * (double)heat->most));
    fputs("</figcaption></figure>\n", out->page);
cleanup:
    return status;
}

void see_output_heading(struct see_output *out, const char *text)
{
    if (!out->page)
        return;
    fputs("<h2>", out->page);
    html_text(out->page, text);
    fputs("</h2>\n", out->page);
}

void see_output_paragraph(struct see_output *out, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    if (!out->page)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs("<p>", out->page);
    html_text(out->page, text);
    fputs("</p>\n", out->page);
}

void see_output_begin_sheet(struct see_output *out)
{
    if (out->page)
        fputs("<div class=\"sheet\">\n", out->page);
}

void see_output_begin_columns(struct see_output *out)
{
    if (out->page)
        fputs("<div class=\"sheet told\">\n", out->page);
}

void see_output_begin_pair(struct see_output *out)
{
    if (out->page)
        fputs("<div class=\"plots\">\n", out->page);
}

void see_output_end_sheet(struct see_output *out)
{
    if (out->page)
        fputs("</div>\n", out->page);
}

convoy_status see_output_values(struct see_output *out, const char *name,
                                enum h5_type type, int n_dims, const int64_t *dims,
                                const void *values)
{
    uint64_t shape[H5_MAX_DIMS];
    if (!out->values)
        return CONVOY_OK;
    for (int d = 0; d < n_dims; d++)
        shape[d] = (uint64_t)dims[d];
    return h5_write(out->values, name, type, n_dims, shape, values);
}

void see_output_say(const struct see_output *out, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    if (!out->options->say)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    out->options->say(out->options->context, text);
}

void see_output_progress(const struct see_output *out, uint64_t done, uint64_t total)
{
    if (out->options->progress)
        out->options->progress(out->options->context, done, total);
}
