/* A net as the text of a recipe's list of layers: one entry a layer, with all that it
 * is told, its own name and its sources by name. What reads it back is the recipe, so a
 * list that a recipe would refuse is refused there, and whatever is trained can be
 * written down. */
#include "setup/net_text.h"

#include "base/memory.h"
#include "net/net.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether name can stand between quotes as it is; the recipe says what else it must be.
 */
static bool is_plain(const char *name)
{
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
            return false;
    return true;
}

static void print_options(const struct node *node, FILE *stream)
{
    const struct option_owner *kind = &node->kind->about;
    char value[OPTION_VALUE_SIZE];
    for (int i = 0; i < kind->n_options; i++) {
        option_get(&kind->options[i], node->attributes, value);
        fprintf(stream, "%s%s: %s", i ? ", " : "", kind->options[i].name, value);
    }
}

static void print_layer(const convoy_net *net, const struct node *node, FILE *stream)
{
    fprintf(stream, "- {%s: {", node->kind->about.name);
    print_options(node, stream);
    fprintf(stream, "}, as: \"%s\", from: [", node->name);
    for (int i = 0; i < node->n_src; i++)
        fprintf(stream, "%s\"%s\"", i ? ", " : "", net->nodes[node->src[i]].name);
    fprintf(stream, "]}\n");
}

/* The layers between the input, node 0, and the loss. */
static convoy_status check_layers(const convoy_net *net)
{
    const int last = net->n_nodes - 2;
    for (int i = 1; i <= last; i++)
        if (!is_plain(net->nodes[i].name))
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "layer '%s': a net that is trained needs names of letters, "
                        "digits, '_', '-' and single dots between them",
                        net->nodes[i].name);
    if (net->logits != last)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "layer '%s' goes nowhere: the loss is on '%s', and nothing takes "
                    "what it gives",
                    net->nodes[last].name, net->nodes[net->logits].name);
    return CONVOY_OK;
}

convoy_status net_text(const convoy_net *net, char **text)
{
    convoy_status status = CONVOY_OK;
    char *buffer = NULL;
    size_t n = 0;
    FILE *stream = NULL;
    TRY(convoy_net_check(net));
    TRY(check_layers(net));
    stream = open_memstream(&buffer, &n);
    for (int i = 1; stream && i < net->n_nodes - 1; i++)
        print_layer(net, &net->nodes[i], stream);
    if (!stream || fclose(stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of a net"));
    TRY(mem_copy_text(buffer, text));
cleanup:
    free(buffer);
    return status;
}
