/* What stochastic gradient descent can be told: its settings. */
#ifndef OPTIM_SGD_H
#define OPTIM_SGD_H

#include <stdbool.h>

struct sgd_settings {
    double momentum;
    bool nesterov;
};

#endif
