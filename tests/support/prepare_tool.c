/* prepare_tool FILE HEIGHT WIDTH RESIZE MEAN STD [MEAN STD MEAN STD] writes the sample
 * that evaluation and prediction make of an image file to stdout, as f32
 * [channels, HEIGHT, WIDTH] with as many channels as means: for comparison with
 * torchvision. */
#include "base/file.h"
#include "base/memory.h"
#include "load/sample.h"

#include <stdio.h>
#include <stdlib.h>

static struct loader_options options_of(int argc, char **argv)
{
    struct loader_options options = {
        .shape = {(argc - 5) / 2, atoi(argv[2]), atoi(argv[3])},
        .resize = atoi(argv[4]),
        .evaluate = true,
    };
    for (int c = 0; c < options.shape[0]; c++) {
        options.mean[c] = strtof(argv[5 + 2 * c], NULL);
        options.std[c] = strtof(argv[6 + 2 * c], NULL);
    }
    return options;
}

static convoy_status run(const char *path, const struct loader_options *options)
{
    convoy_status status = CONVOY_OK;
    const int *shape = options->shape;
    const size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    float *sample = NULL;
    char *bytes = NULL;
    size_t n_bytes = 0;
    TRY(sample_rules_init(NULL, options, &rules));
    TRY(sample_buffers_init(&buffers));
    TRY(file_read_all(path, &bytes, &n_bytes));
    TRY(mem_alloc_array(n, sizeof *sample, (void **)&sample));
    TRY(sample_make_file(&rules, &buffers, (const uint8_t *)bytes, n_bytes, sample));
    fwrite(sample, sizeof *sample, n, stdout);
cleanup:
    sample_buffers_fini(&buffers);
    mem_free(sample);
    mem_free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 11) {
        fprintf(stderr, "usage: prepare_tool FILE HEIGHT WIDTH RESIZE MEAN STD "
                        "[MEAN STD MEAN STD]\n");
        return 2;
    }
    const struct loader_options options = options_of(argc, argv);
    if (run(argv[1], &options) == CONVOY_OK)
        return 0;
    fprintf(stderr, "prepare_tool: %s\n", convoy_status_text());
    return 1;
}
