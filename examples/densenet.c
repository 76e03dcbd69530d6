/* densenet: builds a small DenseNet (densenet_net.c) and prints its layers.
 *
 *     densenet                    28 x 28 grey images, 10 classes, 4 layers a block
 *     densenet 3 32 100 6         3 channels, 32 x 32, 100 classes, 6 layers a block
 */
#include "densenet_net.h"

#include <stdio.h>
#include <stdlib.h>

static void print_layers(const convoy_net *net)
{
    int64_t macs = 0, bytes = 0;
    printf("%-24s %-16s %14s %9s\n", "LAYER", "KIND", "OUTPUT", "WEIGHTS");
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_layer layer;
        char shape[32];
        convoy_net_describe(net, i, &layer);
        snprintf(shape, sizeof shape, "%lld x %lld x %lld", (long long)layer.shape[0],
                 (long long)layer.shape[1], (long long)layer.shape[2]);
        printf("%-24s %-16s %14s %9lld\n", layer.name, layer.kind, shape,
               (long long)layer.n_params);
        macs += layer.n_macs;
        bytes += layer.bytes;
    }
    printf("%lld parameters; for one image %.1f million multiply-adds forward, "
           "%.1f MB of outputs\n",
           (long long)convoy_net_n_params(net), (double)macs / 1e6,
           (double)bytes / 1e6);
}

int main(int argc, char **argv)
{
    struct densenet form = {.channels = 1, .size = 28, .classes = 10, .layers = 4};
    int *const numbers[] = {&form.channels, &form.size, &form.classes, &form.layers};
    convoy_net *net = NULL;
    if (argc > 5) {
        fprintf(stderr, "usage: densenet [CHANNELS [SIZE [CLASSES [LAYERS]]]]\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        *numbers[i - 1] = atoi(argv[i]);
    if (densenet_build(&form, &net) != CONVOY_OK) {
        fprintf(stderr, "densenet: %s\n", convoy_status_text());
        return 1;
    }
    print_layers(net);
    convoy_net_destroy(net);
    return 0;
}
