/* Fashion-MNIST has 60,000 training images, half of them in the classes 0-4; of the
 * classes 5-9 jobs/transfer-learning.sh labels four each. */
#include "report/shipped_recipes.h"

#include <stddef.h>

#define IMAGENET(name, model, epochs, multiply_adds)                                   \
    {                                                                                  \
        "imagenet/" name, model, {3, 224, 224}, 1000, SHIPPED_IMAGENET_IMAGES, epochs, \
            multiply_adds                                                              \
    }

static const struct shipped_recipe recipes[] = {
    [SHIPPED_IMAGENET_RECIPE] = {"imagenet-resnet50",
                                 "resnet50",
                                 {3, 224, 224},
                                 1000,
                                 SHIPPED_IMAGENET_IMAGES,
                                 SHIPPED_IMAGENET_EPOCHS,
                                 4089184256},
    IMAGENET("resnet50-16ep", "resnet50", 16, 2316701696),
    IMAGENET("resnet50-32ep", "resnet50", 32, 2288029184),
    IMAGENET("resnet50-88ep", "resnet50", 88, 2264569856),
    IMAGENET("resnet18-16ep", "resnet18", 16, 1027579904),
    IMAGENET("resnet50-90ep", "resnet50", 90, 4089184256),
    IMAGENET("resnet50-large-batch-3264", "resnet50", 35, 4089184256),
    IMAGENET("resnet50-large-batch-8192", "resnet50", 44, 4089184256),
    IMAGENET("alexnet", "alexnet", 90, 714188480),
    IMAGENET("vgg16-bn", "vgg16_bn", 90, 15470264320),
    IMAGENET("densenet121", "densenet121", 90, 2834161664),
    {"fashion-mnist", "lenet", {1, 28, 28}, 10, 60000, 7, 1579400},
    {"fashion-mnist-resnet20", "resnet20", {1, 28, 28}, 10, 60000, 24, 30821248},
    {"fashion-mnist-densenet", "network", {1, 28, 28}, 10, 60000, 10, 22961124},
    {"transfer-base", "lenet", {1, 28, 28}, 5, 30000, 3, 1576900},
    {"transfer-few", "lenet", {1, 28, 28}, 5, 20, 200, 1576900},
    {"transfer-scratch", "lenet", {1, 28, 28}, 5, 20, 200, 1576900}};

const struct shipped_recipe *shipped_recipe(int i)
{
    return i >= 0 && (size_t)i < sizeof recipes / sizeof *recipes ? &recipes[i] : NULL;
}
