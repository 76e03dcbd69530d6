/* A checkpoint's net, and an image as it sees it. */
#ifndef SEE_SEE_NET_H
#define SEE_SEE_NET_H

#include "infer/inference.h"
#include "load/sample.h"
#include "net/net_probe.h"
#include "see/see_output.h"

struct see_net {
    struct inference inference;
    struct compiled *probe;
    struct sample_rules rules; /* its shape is the net's input */
    struct sample_buffers buffers;
    convoy_pack *pack;      /* of a record; NULL: none */
    int n_classes, label;   /* label: the record's; -1: not known */
    char of[SEE_PATH_SIZE]; /* the image, for titles: its file's name, "record 7" */
    float *image;           /* [c, h, w], normalised */
    float *logits;          /* [classes] of it */
};

/* Opens the checkpoint and compiles its net for one image. *net: free with
 * see_net_close, on error, too. */
convoy_status see_net_open(const char *weights, const convoy_show_options *options,
                           struct see_net *net);
void see_net_close(struct see_net *net);

/* Prepares the image file, or options' record where file is NULL, and runs the net
 * forward on it. */
convoy_status see_net_look(struct see_net *net, const char *file,
                           const convoy_show_options *options);

/* The net's forward pass on another image [c, h, w]; logits: [classes]. */
convoy_status see_net_forward(struct see_net *net, const float *image, float *logits);

/* The class that options name, or the most probable. Errors: ARGUMENT. */
convoy_status see_net_class(const struct see_net *net,
                            const convoy_show_options *options, int *c);

/* A class' name, its number in digits where it has none. Borrowed from net or text. */
const char *see_net_class_name(const struct see_net *net, int c, char text[16]);

/* What it is called in a text. Returns out. */
const char *see_net_class_text(const struct see_net *net, int c,
                               char out[SEE_CLASS_SIZE]);

/* softmax(logits)[c], in double. */
double see_net_probability(const struct see_net *net, const float *logits, int c);

/* The node of a layer. Errors: ARGUMENT (there is none; the text has the first
 * names that there are). */
convoy_status see_net_node(const struct see_net *net, const char *name, int *node);

/* The same, of a layer with maps, or the input. */
convoy_status see_net_map(const struct see_net *net, const char *name, int *node);

/* A node's shape, and its name. */
const struct shape *see_net_shape(const struct see_net *net, int node);
const char *see_net_name(const struct see_net *net, int node);

/* Whether a node's value is a map of more than one pixel, but not the input. */
bool see_net_is_map(const struct see_net *net, int node);

/* The image as a picture, enlarged to be seen. */
convoy_status see_net_picture(const struct see_net *net, struct image *out);

/* What all functions on an image write: the image as a figure, the values that all of
 * them have, and, said, what the net takes it for. To be called before they write files
 * of their own. */
convoy_status see_net_write_image(const struct see_net *net, struct see_output *out);

/* What the net takes the image for, and what it is where that is known: a paragraph. */
void see_net_write_answer(const struct see_net *net, struct see_output *out);

#endif
