/* Why a convolution shares its weights, in numbers: what a layer that connects all
 * values of its input to all of its output, one that gives each output a window of the
 * input and weights of its own, and one that shares these over all places would need.
 *   fully connected    (c · h · w of the input)  x (c · h · w of the output)
 *   locally connected  (channels · kh · kw)      x (c · h · w of the output)
 *   convolutional      (channels · kh · kw)      x  c of the output
 * Biases are left out. */
#include "cli/info_compare.h"

#include "cli/cli.h"
#include "cli/info_text.h"

#include <convoy/json.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The sums of several layers; what is too large stays so. */
static int64_t sum_of(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static void add_counts(convoy_comparison *sum, const convoy_comparison *c)
{
    sum->fully_connected = sum_of(sum->fully_connected, c->fully_connected);
    sum->locally_connected = sum_of(sum->locally_connected, c->locally_connected);
    sum->convolutional = sum_of(sum->convolutional, c->convolutional);
}

static struct info_text count_of(int64_t n)
{
    return n < INT64_MAX ? info_grouped(n) : (struct info_text){"over 9.2e18"};
}

static bool is_vector(const int64_t shape[3])
{
    return shape[1] == 1 && shape[2] == 1;
}

/* "3 x 11 x 11", or "800" of a single pixel. */
static struct info_text product_of(int64_t c, int64_t h, int64_t w)
{
    struct info_text text;
    if (h == 1 && w == 1)
        snprintf(text.text, sizeof text.text, "%" PRId64, c);
    else
        snprintf(text.text, sizeof text.text, "%" PRId64 " x %" PRId64 " x %" PRId64, c,
                 h, w);
    return text;
}

static struct info_text window_of(const convoy_comparison *c)
{
    return product_of(c->channels, c->kernel[0], c->kernel[1]);
}

static bool is_wanted(const struct info_comparison *all, const convoy_layer *layer)
{
    return !all->layer || strcmp(all->layer, layer->name) == 0;
}

static void print_row(int width, const char *name, const char *const words[3],
                      const convoy_comparison *c)
{
    printf("  %-*s  %-14s  %-12s  %-14s %18s  %17s  %13s\n", width, name, words[0],
           words[1], words[2], count_of(c->fully_connected).text,
           count_of(c->locally_connected).text, count_of(c->convolutional).text);
}

static int name_width(const convoy_net *net)
{
    convoy_layer layer;
    convoy_comparison c;
    size_t width = strlen("layer");
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_net_describe(net, i, &layer);
        if (convoy_net_compare(net, i, &c) && strlen(layer.name) > width)
            width = strlen(layer.name);
    }
    return (int)width;
}

static void print_table(const struct info_comparison *all)
{
    const int width = name_width(all->net);
    const char *const no_words[3] = {"", "", ""};
    convoy_comparison sum = {0}, c;
    convoy_layer layer;
    cli_put_text(stdout, all->model);
    printf(": weights without biases, for an input [%d, %d, %d] and %d classes\n\n"
           "  %-*s  %-14s  %-12s  %-14s %18s  %17s  %13s\n",
           all->shape[0], all->shape[1], all->shape[2], all->classes, width, "layer",
           "input", "window", "output", "fully connected", "locally connected",
           "convolutional");
    for (int i = 0; i < convoy_net_n_layers(all->net); i++) {
        if (!convoy_net_compare(all->net, i, &c))
            continue;
        convoy_net_describe(all->net, i, &layer);
        const struct info_text src = info_shape(c.src, is_vector(c.src)),
                               window = window_of(&c),
                               dst = info_shape(c.dst, is_vector(c.dst));
        const char *const words[3] = {src.text, window.text, dst.text};
        print_row(width, layer.name, words, &c);
        add_counts(&sum, &c);
    }
    print_row(width, "all", no_words, &sum);
    puts("\n  The sums of a layer: --compare LAYER");
}

/* "in x out = n weights", with the factors of both written out. */
static void print_sum(const char *in, int64_t n_in, const char *out, int64_t n_out,
                      int64_t n)
{
    printf("    (%s) x (%s) = %s x %s = %s weights\n", in, out, info_grouped(n_in).text,
           info_grouped(n_out).text, count_of(n).text);
}

static int64_t values_of(const int64_t shape[3])
{
    return shape[0] * shape[1] * shape[2];
}

/* "0.111", "12.5" or "1,254,400" times. */
static struct info_text times_of(int64_t n, int64_t of)
{
    struct info_text text;
    const double times = (double)n / (double)of;
    if (times >= 100)
        return info_grouped((int64_t)(times + 0.5));
    snprintf(text.text, sizeof text.text, "%.3g", times);
    return text;
}

static void print_ratios(const convoy_comparison *c)
{
    if (c->fully_connected == c->convolutional) {
        puts("  There is one window, all of the input, so the three are the same.");
        return;
    }
    if (c->fully_connected == INT64_MAX)
        return;
    if (c->fully_connected < c->locally_connected)
        puts("  Windows reach over the edges here; their weights for padding are "
             "counted, "
             "too.");
    printf("  Next to the convolution a fully connected layer needs %s times the "
           "weights,\n"
           "  a locally connected one %s times: a kernel for each of %" PRId64
           " x %" PRId64 " places.\n",
           times_of(c->fully_connected, c->convolutional).text,
           times_of(c->locally_connected, c->convolutional).text, c->dst[1], c->dst[2]);
}

static void print_sums(const struct info_comparison *all, const convoy_layer *layer,
                       const convoy_comparison *c)
{
    const struct info_text src = product_of(c->src[0], c->src[1], c->src[2]),
                           dst = product_of(c->dst[0], c->dst[1], c->dst[2]),
                           window = window_of(c);
    const int64_t seen = c->channels * c->kernel[0] * c->kernel[1];
    cli_put_text(stdout, all->model);
    printf(", layer %s (%s): %s to %s, each output from a window of %s values\n\n",
           layer->name, layer->kind, info_shape(c->src, is_vector(c->src)).text,
           info_shape(c->dst, is_vector(c->dst)).text, window.text);
    puts("  fully connected: each output from all of the input");
    print_sum(src.text, values_of(c->src), dst.text, values_of(c->dst),
              c->fully_connected);
    puts("  locally connected: each output from its window, with weights of its own");
    print_sum(window.text, seen, dst.text, values_of(c->dst), c->locally_connected);
    puts("  convolutional: the same weights for all outputs of a channel");
    print_sum(window.text, seen, product_of(c->dst[0], 1, 1).text, c->dst[0],
              c->convolutional);
    puts("");
    print_ratios(c);
}

static void print_json_counts(convoy_json *json, const convoy_comparison *c)
{
    convoy_json_integer(json, "fully_connected", c->fully_connected);
    convoy_json_integer(json, "locally_connected", c->locally_connected);
    convoy_json_integer(json, "convolutional", c->convolutional);
}

static void print_json_list(convoy_json *json, const char *key, int n,
                            const int64_t *values)
{
    convoy_json_begin_list(json, key);
    for (int i = 0; i < n; i++)
        convoy_json_integer(json, NULL, values[i]);
    convoy_json_end(json);
}

static void print_json_layer(convoy_json *json, const convoy_layer *layer,
                             const convoy_comparison *c)
{
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "name", layer->name);
    convoy_json_text(json, "kind", layer->kind);
    print_json_list(json, "input", 3, c->src);
    print_json_list(json, "output", 3, c->dst);
    convoy_json_integer(json, "channels", c->channels);
    print_json_list(json, "kernel", 2, c->kernel);
    print_json_counts(json, c);
    convoy_json_end(json);
}

static void print_json(const struct info_comparison *all)
{
    convoy_json json = {.stream = stdout};
    convoy_comparison sum = {0}, c;
    convoy_layer layer;
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "kind", "comparison");
    convoy_json_text(&json, "model", all->model);
    convoy_json_integers(&json, "input", all->shape, 3);
    convoy_json_integer(&json, "classes", all->classes);
    convoy_json_begin_list(&json, "layers");
    for (int i = 0; i < convoy_net_n_layers(all->net); i++) {
        convoy_net_describe(all->net, i, &layer);
        if (!is_wanted(all, &layer) || !convoy_net_compare(all->net, i, &c))
            continue;
        print_json_layer(&json, &layer, &c);
        add_counts(&sum, &c);
    }
    convoy_json_end(&json);
    print_json_counts(&json, &sum);
    convoy_json_end(&json);
}

/* Why there is nothing to compare for the layer of this name. */
static int refuse(const struct info_comparison *all)
{
    convoy_layer layer;
    convoy_comparison c;
    const char *nearest = NULL, *kind = NULL;
    for (int i = 0; i < convoy_net_n_layers(all->net); i++) {
        convoy_net_describe(all->net, i, &layer);
        if (strcmp(layer.name, all->layer) == 0)
            kind = layer.kind;
        if (convoy_net_compare(all->net, i, &c) &&
            (!nearest ||
             cli_edits(layer.name, all->layer) < cli_edits(nearest, all->layer)))
            nearest = layer.name;
    }
    fputs("convoy: ", stderr);
    cli_put_text(stderr, all->model);
    if (kind) {
        fprintf(stderr,
                ": layer %s is a %s, which has no weights between its input and its "
                "output",
                all->layer, kind);
    } else {
        fputs(" has no layer '", stderr);
        cli_put_text(stderr, all->layer);
        fputs("'", stderr);
    }
    fprintf(stderr, "; the nearest that can be compared is %s\n",
            nearest ? nearest : "none");
    return CLI_FAILED;
}

int info_compare(const struct info_comparison *all)
{
    const int n = convoy_net_n_layers(all->net);
    convoy_comparison c;
    convoy_layer layer;
    int found = -1;
    for (int i = 0; all->layer && i < n; i++) {
        convoy_net_describe(all->net, i, &layer);
        if (is_wanted(all, &layer) && convoy_net_compare(all->net, i, &c))
            found = i;
    }
    if (all->layer && found < 0)
        return refuse(all);
    if (all->json) {
        print_json(all);
    } else if (all->layer) {
        convoy_net_describe(all->net, found, &layer);
        convoy_net_compare(all->net, found, &c);
        print_sums(all, &layer, &c);
    } else {
        print_table(all);
    }
    return CLI_DONE;
}
