/* Nets of recipes, shapes and all. */
#include "fuzz/nets.h"

#include "fuzz/fuzz.h"
#include "setup/setup.h"

static const int shapes[][3] = {{1, 28, 28}, {3, 32, 32}, {3, 224, 224}};

enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void describe(const convoy_net *net)
{
    convoy_layer layer;
    convoy_comparison c;
    const int n = convoy_net_n_layers(net);
    fuzz_expect(convoy_net_n_params(net) >= 0, "a negative number of parameters");
    for (int i = 0; i < n; i++) {
        convoy_net_describe(net, i, &layer);
        for (int d = 0; d < 3; d++)
            fuzz_expect(layer.shape[d] >= 0, "a negative size");
        if (convoy_net_compare(net, i, &c))
            fuzz_expect(c.fully_connected > 0 && c.locally_connected > 0 &&
                            c.convolutional > 0,
                        "a layer without a weight");
    }
}

void fuzz_net(const convoy_recipe *recipe)
{
    for (int s = 0; s < N_SHAPES; s++) {
        convoy_net *net = NULL;
        if (setup_net(recipe, shapes[s], &net) == CONVOY_OK)
            describe(net);
        convoy_net_destroy(net);
    }
}
