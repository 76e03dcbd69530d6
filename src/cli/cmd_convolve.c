/* convoy convolve: a kernel or a pooling moved over an image, a matrix or a signal, by
 * the layers that training uses, with the numbers behind it. */
#include "cli/cli.h"
#include "cli/convolve_arguments.h"
#include "cli/convolve_text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096 };

/* The plane that --channel names, in front; a grey image is all of them. */
static void keep_channel(convoy_planes *planes, int channel)
{
    const size_t n = (size_t)planes->rows * (size_t)planes->columns;
    if (planes->n == 1 || channel < 0)
        return;
    memmove(planes->values, planes->values + (size_t)channel * n,
            n * sizeof *planes->values);
    planes->n = 1;
}

/* Strides and dilations that the options leave to their defaults. */
static convoy_window complete(const convoy_window *window, const int stride[2])
{
    convoy_window w = *window;
    for (int d = 0; d < 2; d++) {
        w.stride[d] = w.stride[d] ? w.stride[d] : stride[d];
        w.dilation[d] = w.dilation[d] ? w.dilation[d] : 1;
    }
    return w;
}

/* What is behind the value at --explain of each of n_planes, n each; NULL without. */
struct products {
    convoy_product *values;
    int n, n_planes;
};

static convoy_status list_products(const struct convolve_arguments *a,
                                   const convoy_planes *src,
                                   const convoy_planes *kernel,
                                   struct products *products)
{
    const int n = kernel->rows * kernel->columns;
    convoy_status status = CONVOY_OK;
    products->values = calloc((size_t)src->n * (size_t)n, sizeof *products->values);
    if (!products->values) {
        fprintf(stderr, "convoy: cannot allocate memory for %d products\n", n);
        return CONVOY_ERROR_ELSEWHERE; /* nothing more is to be said */
    }
    products->n = n;
    for (int plane = 0; plane < src->n && status == CONVOY_OK; plane++) {
        const int at[] = {plane, a->at[0], a->at[1]};
        status = convoy_convolve_explain(src, kernel, &a->window, at,
                                         products->values + (ptrdiff_t)plane * n);
        products->n_planes = plane + 1;
    }
    return status;
}

static void show_products(const struct convolve_arguments *a, const convoy_planes *dst,
                          const struct products *products)
{
    for (int plane = 0; plane < products->n_planes; plane++) {
        const int at[] = {plane, a->at[0], a->at[1]};
        convolve_text_products(
            dst, at, products->values + (ptrdiff_t)plane * products->n, products->n);
    }
}

/* Numbers are shown where there were numbers, if a screen holds them. */
static void show_output(const struct convolve_arguments *a, const convoy_planes *dst)
{
    const bool from_numbers = a->image && convoy_planes_are_numbers(a->image);
    convolve_text_range(dst, !from_numbers);
    if (a->numbers || (from_numbers && convolve_text_is_small(dst)))
        convolve_text_values(dst);
    else if (from_numbers && !a->output)
        puts("(--numbers prints them, -o FILE.csv writes them)");
}

/* Before anything is said: of what fails one line is seen. */
static convoy_status write_output(const struct convolve_arguments *a,
                                  const convoy_planes *dst)
{
    return a->output ? convoy_planes_write(dst, a->output, a->scale) : CONVOY_OK;
}

static convoy_status convolve_image(const struct convolve_arguments *a,
                                    const convoy_planes *src)
{
    static const int one[] = {1, 1};
    const convoy_window window = complete(&a->window, one);
    struct products products = {0};
    convoy_planes kernel = {0}, dst = {0};
    convoy_status status = convoy_kernel_read(a->kernel, &kernel);
    if (status == CONVOY_OK)
        status = convoy_convolve(src, &kernel, &window, &dst);
    if (status == CONVOY_OK && a->explains)
        status = list_products(a, src, &kernel, &products);
    if (status == CONVOY_OK)
        status = write_output(a, &dst);
    if (status == CONVOY_OK) {
        const int size[] = {kernel.rows, kernel.columns};
        convolve_text_kernel(a->kernel, &kernel, a->window.correlate);
        convolve_text_size(src, size, &window, &dst, false);
        show_output(a, &dst);
        show_products(a, &dst, &products);
    }
    free(products.values);
    convoy_planes_free(&kernel);
    convoy_planes_free(&dst);
    return status;
}

static convoy_status pool_image(const struct convolve_arguments *a,
                                const convoy_planes *src)
{
    const convoy_window window = complete(&a->window, a->window_size);
    const bool average = strcmp(a->pool, "average") == 0;
    convoy_planes dst = {0};
    convoy_status status =
        convoy_convolve_pool(src, a->window_size, average, &window, &dst);
    if (status == CONVOY_OK)
        status = write_output(a, &dst);
    if (status == CONVOY_OK) {
        printf("the %s of each window of %d x %d, at stride %d x %d\n\n",
               average ? "average" : "maximum", a->window_size[0], a->window_size[1],
               window.stride[0], window.stride[1]);
        convolve_text_size(src, a->window_size, &window, &dst, false);
        show_output(a, &dst);
    }
    convoy_planes_free(&dst);
    return status;
}

static convoy_status work_on_image(const struct convolve_arguments *a)
{
    convoy_planes src = {0};
    convoy_status status = convoy_planes_read(a->image, a->grey, &src);
    if (status != CONVOY_OK)
        return status;
    keep_channel(&src, a->channel);
    status = a->kernel ? convolve_image(a, &src) : pool_image(a, &src);
    convoy_planes_free(&src);
    return status;
}

static void show_signal(const struct convolve_arguments *a, const convoy_planes *signal,
                        const convoy_planes *with, const convoy_window *window,
                        const convoy_planes *dst)
{
    const int size[] = {1, with->columns};
    convolve_text_kernel(a->with, with, window->correlate);
    convolve_text_size(signal, size, window, dst, true);
    convolve_text_range(dst, false);
    if (a->numbers || (!a->output && convolve_text_is_small(dst)))
        convolve_text_values(dst);
}

/* Padded so that every sample of the one meets every sample of the other, unless --pad
 * says otherwise. The result is one number a line, as signals mostly are. */
static convoy_status work_on_signal(const struct convolve_arguments *a)
{
    static const int one[] = {1, 1};
    convoy_window window = complete(&a->window, one);
    convoy_planes signal = {0}, with = {0}, dst = {0};
    convoy_status status = convoy_signal_read(a->signal, &signal);
    if (status == CONVOY_OK)
        status = convoy_signal_read(a->with, &with);
    window.pad[0] = 0;
    window.stride[0] = window.dilation[0] = 1;
    if (!a->is_padded)
        window.pad[1] = (with.columns - 1) * window.dilation[1];
    if (status == CONVOY_OK)
        status = convoy_convolve(&signal, &with, &window, &dst);
    if (status == CONVOY_OK) {
        const convoy_planes column = {1, dst.columns, 1, dst.values};
        status = write_output(a, &column);
    }
    if (status == CONVOY_OK)
        show_signal(a, &signal, &with, &window, &dst);
    convoy_planes_free(&signal);
    convoy_planes_free(&with);
    convoy_planes_free(&dst);
    return status;
}

static void say_files(const char *folder, const char *why)
{
    char line[PATH_SIZE + 128];
    cli_print_line(stdout, "\nwritten: ", folder);
    if (*why) {
        snprintf(line, sizeof line, "the numbers are in %s, but no drawings: %s",
                 folder, why);
        cli_print_line(stderr, "convoy: ", line);
        return;
    }
    puts("  seismogram.svg and learnt.svg show them");
}

static convoy_status demonstrate(const struct convolve_arguments *a)
{
    char why[CONVOY_SEISMOGRAM_WHY_SIZE] = "";
    convoy_seismogram made = {0};
    convoy_status status = convoy_seismogram_make(&made);
    if (status == CONVOY_OK && a->output)
        status = convoy_seismogram_write(&made, a->output, why);
    if (status == CONVOY_OK)
        convolve_text_seismogram(&made);
    if (a->output && status == CONVOY_OK) {
        say_files(a->output, why);
        printf("  the same once more, in this folder: convoy convolve --signal "
               "reflectivity.csv --with wavelet.csv --pad %d -o again.csv\n",
               made.n_taps / 2);
    }
    convoy_seismogram_free(&made);
    return status;
}

/* Whether the output would replace what it is made of: after a message. */
static bool replaces_input(const struct convolve_arguments *a)
{
    const char *const inputs[] = {a->image, a->kernel, a->signal, a->with};
    struct stat out, in;
    if (!a->output || stat(a->output, &out) != 0)
        return false;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        if (inputs[i] && stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino) {
            cli_print_line(stderr,
                           "convoy: it would be replaced by what is made of "
                           "it, give -o another name: ",
                           a->output);
            return true;
        }
    return false;
}

static int run(int argc, char **argv)
{
    struct convolve_arguments a = {0};
    int result = cli_check_alone(&command_convolve);
    if (result == CLI_DONE)
        result = convolve_arguments_parse(argc, argv, &a);
    if (result != CLI_DONE)
        return result;
    if (replaces_input(&a))
        return CLI_FAILED;
    return cli_finish(a.image    ? work_on_image(&a)
                      : a.signal ? work_on_signal(&a)
                                 : demonstrate(&a));
}

const struct command command_convolve = {
    .name = "convolve",
    .synopsis = "convolve IMAGE --kernel NAME|FILE [-o OUT] [--explain ROW,COLUMN]",
    .summary = "convolution by itself: what a kernel makes of an image",
    .help =
        "IMAGE is a JPEG or PNG file, or a matrix of numbers (.csv, .txt): a row a "
        "line,\n"
        "blanks or commas between. A kernel or a window of pooling moves over it, by "
        "the\n"
        "layers that training uses; the sum is shown with its numbers. Transparency "
        "of a\n"
        "picture is left out.\n"
        "\n"
        "  --kernel NAME|FILE  identity, edge1, edge2, edge3, sharpen, box, or a "
        "matrix\n"
        "  --correlate       multiply with the kernel as it stands, as CNNs do, not "
        "turned\n"
        "                    by 180 degrees\n"
        "  --pool max|average  in place of a kernel; --window N is its size\n"
        "  --window N        (or ROWS,COLUMNS, as in the next three)\n"
        "  --stride N        pixels from one output value to the next (default: 1; of\n"
        "                    pooling: the window)\n"
        "  --pad N           zeros on each side (default: 0); in an average they "
        "count,\n"
        "                    and no maximum is one of them\n"
        "  --dilation N      pixels from one value of the kernel to the next (default: "
        "1)\n"
        "  --grey            a colour image as a grey one\n"
        "  --channel C       only 0 (red), 1 (green) or 2 (blue), as a grey image\n"
        "  --explain ROW,COLUMN  the products behind one output value, from 0,0 on\n"
        "  --numbers         print the output's numbers\n"
        "  -o, --output OUT  what is written: a picture (.png), or the numbers (.csv)\n"
        "  --scale           in a picture the least value is black and the greatest "
        "white;\n"
        "                    without, values are cut off at 0 and 255\n"
        "\n"
        "One dimension:\n"
        "  --signal FILE     numbers, one a line or all in one, convolved ...\n"
        "  --with FILE       ... with these; --pad is such that all meet, unless "
        "given\n"
        "  --demo seismogram  a seismogram is made by convolution, and one "
        "convolution\n"
        "                    layer learns the impulse response back; -o FOLDER gets "
        "the\n"
        "                    numbers and drawings (which need gnuplot)\n"
        "\n"
        "Examples: convoy convolve photo.jpg --kernel edge3 -o edges.png\n"
        "          convoy convolve layer.csv --kernel kernel.csv --correlate --explain "
        "0,0\n"
        "          convoy convolve photo.jpg --pool max --window 4 -o small.png\n",
    .run = run,
};
