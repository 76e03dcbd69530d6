/* From a checkpoint and an image to a net that has been run on it and can be asked.
 * The microbatch is one image: it is looked at by people, one at a time. */
#include "see/see_net.h"

#include "base/file.h"
#include "base/memory.h"
#include "see/see_picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 12 };

/* A larger file is no image: its pixels would be more than image.h reads. */
static const off_t max_bytes = (off_t)1 << 30;

static convoy_status compile(struct see_net *net)
{
    const struct compile_options options = {
        .n = 1, .type = dnnl_f32, .training = true, .probe = true};
    return net_compile(net->inference.net, &options, &net->probe);
}

convoy_status see_net_open(const char *weights, const convoy_show_options *options,
                           struct see_net *net)
{
    convoy_status status = CONVOY_OK;
    *net = (struct see_net){.label = -1};
    net->inference.ema = options->ema;
    TRY(inference_open(NULL, weights, &net->inference));
    TRY(inference_build(&net->inference));
    net->inference.loading.evaluate = true;
    net->inference.loading.bf16 = false;
    TRY(compile(net));
    TRY(inference_load(&net->inference));
    TRY(compiled_refresh(net->probe));
    const convoy_net *graph = net->inference.net;
    net->n_classes = (int)graph->nodes[graph->logits].shape.c;
    TRY(mem_alloc_array(probe_size(net->probe, 0), sizeof *net->image,
                        (void **)&net->image));
    TRY(mem_alloc_array((size_t)net->n_classes, sizeof *net->logits,
                        (void **)&net->logits));
    TRY(sample_buffers_init(&net->buffers));
cleanup:
    return status;
}

void see_net_close(struct see_net *net)
{
    compiled_destroy(net->probe);
    sample_buffers_fini(&net->buffers);
    convoy_pack_close(net->pack);
    mem_free(net->image);
    mem_free(net->logits);
    inference_close(&net->inference);
}

static convoy_status prepare_file(struct see_net *net, const char *file)
{
    convoy_status status = CONVOY_OK;
    struct stat info;
    char *bytes = NULL;
    size_t n = 0;
    const char *slash = strrchr(file, '/');
    TRY(sample_rules_init(NULL, &net->inference.loading, &net->rules));
    if (stat(file, &info) == 0 && info.st_size > max_bytes)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: too many bytes for a JPEG or PNG image",
                    file);
    TRY(file_read_all(file, &bytes, &n));
    status = sample_make_file(&net->rules, &net->buffers, (const uint8_t *)bytes, n,
                              net->image);
    if (status != CONVOY_OK)
        TRY(status_prefix(status, "%s", file));
    snprintf(net->of, sizeof net->of, "%s", slash ? slash + 1 : file);
cleanup:
    mem_free(bytes);
    return status;
}

static convoy_status prepare_record(struct see_net *net,
                                    const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    int32_t label = -1;
    TRY(convoy_pack_open(options->pack, &net->pack));
    const uint64_t n = convoy_pack_describe(net->pack)->n_records;
    if (options->record >= n)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: there is no record %llu, only 0 to %llu", options->pack,
                    (unsigned long long)options->record, (unsigned long long)n - 1);
    TRY(sample_rules_init(net->pack, &net->inference.loading, &net->rules));
    TRY(sample_make(&net->rules, &net->buffers, 0, options->record, net->image,
                    &label));
    net->label = label;
    snprintf(net->of, sizeof net->of, "record %llu",
             (unsigned long long)options->record);
cleanup:
    return status;
}

convoy_status see_net_look(struct see_net *net, const char *file,
                           const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    if (!file == !options->pack)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "which image? An image file is needed, or a pack and a record of it");
    TRY(file ? prepare_file(net, file) : prepare_record(net, options));
    TRY(see_net_forward(net, net->image, net->logits));
    for (int c = 0; c < net->n_classes; c++)
        if (!isfinite(net->logits[c]))
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: the net's output for class %d is not finite", net->of, c);
cleanup:
    return status;
}

convoy_status see_net_forward(struct see_net *net, const float *image, float *logits)
{
    static const int32_t no_label = -1;
    const struct run_info none = {0};
    const convoy_status status =
        compiled_forward(net->probe, image, &no_label, NULL, &none);
    if (status == CONVOY_OK)
        memcpy(logits, compiled_logits(net->probe),
               (size_t)net->n_classes * sizeof *logits);
    return status;
}

const char *see_net_class_name(const struct see_net *net, int c, char text[16])
{
    const struct checkpoint_facts *facts =
        checkpoint_describe(net->inference.checkpoint);
    if ((size_t)c < facts->n_class_names)
        return facts->class_names[c];
    snprintf(text, 16, "%d", c);
    return text;
}

const char *see_net_class_text(const struct see_net *net, int c,
                               char out[SEE_CLASS_SIZE])
{
    char number[16];
    return see_output_class(see_net_class_name(net, c, number), c, out);
}

double see_net_probability(const struct see_net *net, const float *logits, int c)
{
    double sum = 0;
    for (int k = 0; k < net->n_classes; k++)
        sum += exp((double)logits[k] - (double)logits[c]);
    return 1 / sum;
}

static int most_probable(const struct see_net *net)
{
    int best = 0;
    for (int c = 1; c < net->n_classes; c++)
        if (net->logits[c] > net->logits[best])
            best = c;
    return best;
}

convoy_status see_net_class(const struct see_net *net,
                            const convoy_show_options *options, int *c)
{
    const char *name = options->class_name;
    char text[16], *end = NULL;
    *c = most_probable(net);
    if (!name)
        return CONVOY_OK;
    for (int k = 0; k < net->n_classes; k++)
        if (strcmp(see_net_class_name(net, k, text), name) == 0) {
            *c = k;
            return CONVOY_OK;
        }
    const long number = strtol(name, &end, 10);
    if (*name < '0' || *name > '9' || *end || number >= net->n_classes)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "the net in %s has no class '%s': a name or a number from 0 to %d "
                    "is expected",
                    checkpoint_path(net->inference.checkpoint), name,
                    net->n_classes - 1);
    *c = (int)number;
    return CONVOY_OK;
}

/* The first layers' names, for a message. */
static void list_names(const struct see_net *net, bool maps, char *out, size_t size)
{
    const convoy_net *graph = net->inference.net;
    size_t n = 0;
    int named = 0;
    out[0] = '\0';
    for (int i = 1; i < graph->n_nodes && n < size; i++) {
        if (i == graph->loss || (maps && !see_net_is_map(net, i)))
            continue;
        if (named++ == MAX_NAMES) {
            snprintf(out + n, size - n, ", ... (convoy info lists all)");
            return;
        }
        n += (size_t)snprintf(out + n, size - n, "%s%s", named > 1 ? ", " : "",
                              graph->nodes[i].name);
    }
}

convoy_status see_net_node(const struct see_net *net, const char *name, int *node)
{
    char names[1024];
    const int found = probe_find(net->inference.net, name);
    if (found >= 0 && found != net->inference.net->loss) {
        *node = found;
        return CONVOY_OK;
    }
    list_names(net, false, names, sizeof names);
    return FAIL(CONVOY_ERROR_ARGUMENT, "the net in %s has no layer '%s'; it has %s",
                checkpoint_path(net->inference.checkpoint), name, names);
}

convoy_status see_net_map(const struct see_net *net, const char *name, int *node)
{
    char names[1024];
    const convoy_status status = see_net_node(net, name, node);
    if (status != CONVOY_OK || *node == 0 || see_net_is_map(net, *node))
        return status;
    list_names(net, true, names, sizeof names);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "layer '%s' has no maps of more than one pixel; such maps have: %s",
                name, names[0] ? names : "none");
}

const struct shape *see_net_shape(const struct see_net *net, int node)
{
    return &net->inference.net->nodes[node].shape;
}

const char *see_net_name(const struct see_net *net, int node)
{
    return net->inference.net->nodes[node].name;
}

bool see_net_is_map(const struct see_net *net, int node)
{
    const struct shape *s = see_net_shape(net, node);
    return node > 0 && !s->flat && s->h * s->w > 1;
}

convoy_status see_net_picture(const struct see_net *net, struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct image small = {0};
    const int *shape = net->inference.loading.shape;
    TRY(see_picture_sample(net->image, shape, net->inference.loading.mean,
                           net->inference.loading.std, &small));
    TRY(see_picture_enlarge(&small, see_picture_factor(shape[1], shape[2]), out));
cleanup:
    image_free(&small);
    return status;
}

static convoy_status write_values(const struct see_net *net, struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    const int *shape = net->inference.loading.shape;
    const int64_t input[] = {shape[0], shape[1], shape[2]}, classes = net->n_classes;
    TRY(see_output_values(out, "input", H5_TYPE_F32, 3, input, net->image));
    TRY(see_output_values(out, "logits", H5_TYPE_F32, 1, &classes, net->logits));
cleanup:
    return status;
}

convoy_status see_net_write_image(const struct see_net *net, struct see_output *out)
{
    convoy_status status = CONVOY_OK;
    struct image picture = {0};
    char text[SEE_PATH_SIZE + 32], name[SEE_CLASS_SIZE];
    const int best = most_probable(net);
    TRY(write_values(net, out));
    TRY(see_net_picture(net, &picture));
    snprintf(text, sizeof text, "%s, as the net sees it", net->of);
    TRY(see_output_figure(out, &picture, text, text));
    see_output_say(out, "%s: %s, %.2f %%", net->of, see_net_class_text(net, best, name),
                   100 * see_net_probability(net, net->logits, best));
cleanup:
    image_free(&picture);
    return status;
}

/* The most probable class but for the n that are named; -1: there is none. */
static int next_probable(const struct see_net *net, const int *named, int n)
{
    int best = -1;
    for (int c = 0; c < net->n_classes; c++) {
        bool is_named = false;
        for (int i = 0; i < n; i++)
            is_named = is_named || named[i] == c;
        if (!is_named && (best < 0 || net->logits[c] > net->logits[best]))
            best = c;
    }
    return best;
}

void see_net_write_answer(const struct see_net *net, struct see_output *out)
{
    enum { NAMED = 3 };
    char text[NAMED * (SEE_CLASS_SIZE + 32)] = "", name[SEE_CLASS_SIZE];
    int named[NAMED];
    size_t n = 0;
    for (int i = 0; i < NAMED && i < net->n_classes; i++) {
        named[i] = next_probable(net, named, i);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s (%.2f %%)",
                              i == 0   ? ""
                              : i == 1 ? ", then for "
                                       : " or ",
                              see_net_class_text(net, named[i], name),
                              100 * see_net_probability(net, net->logits, named[i]));
    }
    if (net->label >= 0)
        see_output_paragraph(
            out, "The net takes it for %s. It is %s.", text,
            see_output_class(convoy_pack_class_name(net->pack, net->label), net->label,
                             name));
    else
        see_output_paragraph(out, "The net takes it for %s.", text);
}
