/* A model's layer table: for each layer its output, parameters, multiply-adds and the
 * memory of its output for one sample; then the totals. Nothing is compiled, so the
 * largest model takes no time. */
#include "cli/info_model.h"

#include "cli/info_compare.h"
#include "cli/info_text.h"

#include <convoy/json.h>
#include <convoy/model.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 1 << 16, MAX_CLASSES = 1 << 24 };

/* The numbers of a text "N" or "N,N,N", each from 1 to most; false for any other. */
static bool parse_numbers(const char *text, int n, long most, int *numbers)
{
    for (int i = 0; i < n; i++) {
        char *end = NULL;
        errno = 0;
        long value = strtol(text, &end, 10);
        if (end == text || errno != 0 || value < 1 || value > most ||
            *end != (i < n - 1 ? ',' : '\0'))
            return false;
        numbers[i] = (int)value;
        text = end + 1;
    }
    return true;
}

/* CLI_DONE, or the exit status of a message. */
static int read_options(const struct info_model_options *o, int shape[3], int *classes)
{
    if (o->input && o->size)
        return cli_usage(&command_info, "either --input or --size");
    if (o->input && !parse_numbers(o->input, 3, MAX_SIDE, shape))
        return cli_usage(&command_info,
                         "--input takes channels, height and width, as 3,224,224, "
                         "here '%s'",
                         o->input);
    if (o->size) {
        if (!parse_numbers(o->size, 1, MAX_SIDE, &shape[1]))
            return cli_usage(&command_info,
                             "--size takes a number of pixels, here '%s'", o->size);
        shape[2] = shape[1];
    }
    if (o->classes && !parse_numbers(o->classes, 1, MAX_CLASSES, classes))
        return cli_usage(&command_info, "--classes takes a number, here '%s'",
                         o->classes);
    return CLI_DONE;
}

/* The sums of all layers; name and kind are the longest. */
static convoy_layer sum_layers(const convoy_net *net)
{
    convoy_layer sum = {.name = "layer", .kind = "kind"}, layer;
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_net_describe(net, i, &layer);
        sum.n_params += layer.n_params;
        sum.n_weights += layer.n_weights;
        sum.n_macs += layer.n_macs;
        sum.bytes += layer.bytes;
        if (strlen(layer.name) > strlen(sum.name))
            sum.name = layer.name;
        if (strlen(layer.kind) > strlen(sum.kind))
            sum.kind = layer.kind;
    }
    return sum;
}

static void print_table(const convoy_net *net, const convoy_layer *sum)
{
    const int name_width = (int)strlen(sum->name), kind_width = (int)strlen(sum->kind);
    convoy_layer layer;
    printf("\n  %-*s  %-*s  %-16s %12s %15s %11s\n", name_width, "layer", kind_width,
           "kind", "output", "parameters", "multiply-adds", "memory");
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_net_describe(net, i, &layer);
        printf("  %-*s  %-*s  %-16s %12s %15s %11s\n", name_width, layer.name,
               kind_width, layer.kind, info_shape(layer.shape, layer.flat).text,
               info_grouped(layer.n_params).text, info_grouped(layer.n_macs).text,
               info_size(layer.bytes).text);
    }
}

static void print_text(const char *name, const int shape[3], int classes,
                       const convoy_net *net)
{
    const convoy_layer sum = sum_layers(net);
    const char *summary = "";
    for (int i = 0; convoy_model_name(i); i++)
        if (strcmp(convoy_model_name(i), name) == 0)
            summary = convoy_model_summary(i);
    printf("%s: %s; input [%d, %d, %d], %d classes\n", name, summary, shape[0],
           shape[1], shape[2], classes);
    print_table(net, &sum);
    printf("\n  %s parameters, %s of them weights (the others are biases)\n",
           info_grouped(sum.n_params).text, info_grouped(sum.n_weights).text);
    printf("  %sMACs a sample, forward (%s multiply-adds)\n",
           info_work(sum.n_macs).text, info_grouped(sum.n_macs).text);
    printf("  %s a sample, if every output is kept in f32\n",
           info_size(sum.bytes).text);
}

/* What layer and sums have in common. */
static void print_json_figures(convoy_json *json, const convoy_layer *layer)
{
    convoy_json_integer(json, "parameters", layer->n_params);
    convoy_json_integer(json, "weights", layer->n_weights);
    convoy_json_integer(json, "multiply_adds", layer->n_macs);
    convoy_json_integer(json, "bytes", layer->bytes);
}

static void print_json_layer(convoy_json *json, const convoy_layer *layer)
{
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "name", layer->name);
    convoy_json_text(json, "kind", layer->kind);
    convoy_json_begin_list(json, "output");
    for (int i = 0; i < (layer->flat ? 1 : 3); i++)
        convoy_json_integer(json, NULL, layer->shape[i]);
    convoy_json_end(json);
    print_json_figures(json, layer);
    convoy_json_end(json);
}

static void print_json(const char *name, const int shape[3], int classes,
                       const convoy_net *net)
{
    const convoy_layer sum = sum_layers(net);
    convoy_layer layer;
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "kind", "model");
    convoy_json_text(&json, "model", name);
    convoy_json_integers(&json, "input", shape, 3);
    convoy_json_integer(&json, "classes", classes);
    convoy_json_begin_list(&json, "layers");
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_net_describe(net, i, &layer);
        print_json_layer(&json, &layer);
    }
    convoy_json_end(&json);
    print_json_figures(&json, &sum);
    convoy_json_end(&json);
}

int info_model(const char *name, const struct info_model_options *options)
{
    convoy_model_options model = {0};
    convoy_net *net = NULL;
    int shape[3];
    if (convoy_model_defaults(name, shape, &model.classes) != CONVOY_OK) {
        fprintf(stderr, "convoy: there is no file '%s', and %s\n", name,
                convoy_status_text());
        return CLI_FAILED;
    }
    int code = read_options(options, shape, &model.classes);
    if (code != CLI_DONE)
        return code;
    convoy_status status = convoy_model_build(name, shape, &model, &net);
    if (status != CONVOY_OK)
        return cli_finish(status);
    const struct info_comparison comparison = {.model = name,
                                               .shape = shape,
                                               .classes = model.classes,
                                               .net = net,
                                               .layer = options->layer,
                                               .json = options->json};
    if (options->compare)
        code = info_compare(&comparison);
    else
        (options->json ? print_json : print_text)(name, shape, model.classes, net);
    convoy_net_destroy(net);
    return code;
}
