/* A user's program, in two parts: it builds a small net and counts its weights, and
 * asks for a pack that does not exist, where it wants an error that names the file. */
#include <convoy/net.h>
#include <convoy/pack.h>
#include <convoy/version.h>

#include <stdio.h>
#include <string.h>

/* A convolution and a classifier on [3, 8, 8]: 3 * 4 * 3 * 3 + 4 and 4 * 8 * 8 * 10 +
 * 10 weights. */
static int counts_the_weights_of_a_net(void)
{
    convoy_net *net = NULL;
    if (convoy_net_create(3, 8, 8, &net) != CONVOY_OK)
        return 0;
    convoy_node x = convoy_net_input(net);
    x = convoy_net_conv(net, x, "conv",
                        &(convoy_conv){.out = 4, .kernel = 3, .pad = 1});
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 10});
    convoy_net_loss(net, x, 0);
    int right =
        convoy_net_check(net) == CONVOY_OK && convoy_net_n_params(net) == 112 + 2570;
    convoy_net_destroy(net);
    return right;
}

static int names_a_missing_pack(const char *path)
{
    convoy_pack *pack = NULL;
    return convoy_pack_open(path, &pack) == CONVOY_ERROR_IO && pack == NULL &&
           strstr(convoy_status_text(), path) != NULL;
}

/* A name that convoy uses inside. */
int mem_free(const void *memory);
int mem_free(const void *memory)
{
    return memory ? 0 : 5;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    printf("with convoy %s\n", convoy_version());
    if (strcmp(convoy_version(), CONVOY_VERSION) != 0 || mem_free(NULL) != 5) {
        puts("the headers are of another version, or a name of ours is taken");
        return 1;
    }
    if (!counts_the_weights_of_a_net()) {
        puts("the net is wrong");
        return 1;
    }
    if (!names_a_missing_pack(argv[1])) {
        puts("the error for a missing pack is wrong");
        return 1;
    }
    return 0;
}
