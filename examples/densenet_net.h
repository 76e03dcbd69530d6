/* A small DenseNet (Huang et al. 2017) built with convoy/net.h: the network of
 * jobs/recipes/fashion-mnist-densenet.yaml in C. */
#ifndef DENSENET_NET_H
#define DENSENET_NET_H

#include <convoy/net.h>

struct densenet {
    int channels, size, classes; /* of the images, size x size */
    int layers;                  /* of each dense block */
};

/* *net is new; free with convoy_net_destroy. */
convoy_status densenet_build(const struct densenet *form, convoy_net **net);

#endif
