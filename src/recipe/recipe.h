/* A recipe as plain numbers and texts; docs/recipe.md says what each means. Only
 * recipe_load and recipe_load_text (recipe_catalog.h) make one, so what stands in it is
 * complete and checked. */
#ifndef RECIPE_RECIPE_H
#define RECIPE_RECIPE_H

#include "base/status.h"

#include <convoy/recipe.h>

#include <stdbool.h>
#include <stdint.h>

/* model.name of a recipe with a network of its own. */
#define RECIPE_NETWORK_NAME "network"

enum { RECIPE_MAX_NUMBERS = 32, RECIPE_MAX_ENTRIES = 256, RECIPE_PATH_SIZE = 128 };

struct recipe_numbers {
    int n;
    double values[RECIPE_MAX_NUMBERS];
};

/* Different texts, none empty. */
struct recipe_texts {
    int n;
    char **values; /* [n] */
};

/* A factor for each parameter name that starts with a prefix; the longest prefix
 * counts. Prefixes differ, none is empty. */
struct recipe_scales {
    int n;
    char **prefixes; /* [n] */
    double *factors; /* [n], at least 0 */
};

enum { RECIPE_MAX_CROPS = 16 };

/* Training images are crop x crop pixels from an epoch on, counted from 0. */
struct recipe_crop {
    int epoch, crop;
};

/* As a recipe says it: recipe_crops.c. */
struct recipe_ramp {
    int from, to, begin, end, round;
};

/* The sizes of training images by epoch. */
struct recipe_crops {
    int n; /* at least 1 */
    struct recipe_crop
        list[RECIPE_MAX_CROPS]; /* [n], epochs ascending from 0; of one
                                   alone, 0: a raw pack's size, else 224 */
    struct recipe_ramp ramp;    /* that the list was made of; from 0: none */
};

/* The keys of one recipe (recipe_keys.h). */
struct recipe_keys {
    int n;
    struct option *rows;             /* [n] */
    char (*paths)[RECIPE_PATH_SIZE]; /* [n], the rows' names */
};

/* In the order of the choices in the table of keys. */
enum recipe_variant { RECIPE_VARIANT_OWN, RECIPE_VARIANT_V1_5, RECIPE_VARIANT_V1 };
enum recipe_activation {
    RECIPE_ACTIVATION_RELU,
    RECIPE_ACTIVATION_SIGMOID,
    RECIPE_ACTIVATION_TANH
};
enum recipe_decay {
    RECIPE_DECAY_CONSTANT,
    RECIPE_DECAY_STEP,
    RECIPE_DECAY_COSINE,
    RECIPE_DECAY_POLYNOMIAL,
    RECIPE_DECAY_LINEAR,
    RECIPE_DECAY_ONE_CYCLE
};
enum recipe_resized_crop {
    RECIPE_RESIZED_CROP_OFF,
    RECIPE_RESIZED_CROP_SCALED,
    RECIPE_RESIZED_CROP_EXACT
};
enum recipe_read { RECIPE_READ_DIRECT, RECIPE_READ_STAGE, RECIPE_READ_MEMORY };
enum recipe_bad_record { RECIPE_BAD_RECORD_STOP, RECIPE_BAD_RECORD_SKIP };
enum recipe_nonfinite { RECIPE_NONFINITE_STOP, RECIPE_NONFINITE_SKIP };
enum recipe_batch_norm { RECIPE_BATCH_NORM_RUNNING, RECIPE_BATCH_NORM_RECOMPUTE };
enum recipe_precision { RECIPE_PRECISION_F32, RECIPE_PRECISION_BF16 };

/* One of the catalogue's owners, and what it is told. */
struct recipe_choice {
    const struct option_owner *owner;
    void *settings; /* the struct of owner's options; the recipe's memory */
};

struct recipe_model {
    char *name;
    int classes;    /* 0: as many as the train pack has */
    double dropout; /* -1: the model's own */
    enum recipe_activation activation;
    bool batch_norm;
    int width; /* 0: the model's own */
    bool zero_init_residual;
    enum recipe_variant variant;
    bool pre_activation;
    bool blur_pool;
};

struct recipe_augment {
    enum recipe_resized_crop resized_crop;
    int pad;
    bool flip;
    double brightness, contrast, saturation, hue; /* ColorJitter's */
    double erasing;                               /* RandomErasing's p */
    bool trivial;                                 /* TrivialAugmentWide */
    double mixup, cutmix;                         /* alpha; 0: off */
    int repeats;                                  /* samples of a record in a batch */
};

struct recipe_data {
    char *train; /* "": none, in a recipe that comes with imported weights */
    char *val;   /* "": none */
    struct recipe_crops crop;
    int val_crop; /* 0: the last training crop */
    int resize;   /* 0: crop * 256 / 224 */
    bool shuffle;
    int threads; /* 0: auto */
    enum recipe_read read;
    enum recipe_bad_record on_bad_record;
    struct recipe_numbers mean, std; /* n 0, 1 or 3; 0: by the number of channels */
    struct recipe_augment augment;
};

struct recipe_batch {
    int size; /* a multiple of microbatch */
    int microbatch;
};

struct recipe_optimizer {
    struct recipe_choice kind;
    double weight_decay;
    bool decay_norm_and_bias;
    double clip_norm; /* 0: off */
    struct recipe_scales lr_scale;
};

struct recipe_schedule {
    int epochs;
    double lr;
    double warmup_epochs;
    double warmup_lr;
    enum recipe_decay decay;
    struct recipe_numbers milestones; /* in epochs, ascending */
    double gamma;
    double final_lr;
    double power;
    double warmup_momentum; /* -1: the optimizer's */
    bool cycle_momentum;
    double base_momentum, max_momentum;
};

struct recipe_loss {
    double label_smoothing;
};

struct recipe_ema {
    double decay; /* 0: no average of the weights */
    int every_steps;
};

struct recipe_eval {
    enum recipe_batch_norm batch_norm;
    int batches; /* 0: auto */
    bool flip;   /* the mean over images and their mirror images */
};

struct recipe_init {
    char *weights;              /* a file; "": random weights */
    struct recipe_texts skip;   /* prefixes of tensors that are not taken from it */
    struct recipe_texts freeze; /* prefixes of parameters that do not learn */
};

struct recipe_exchange {
    int bucket; /* MiB; 0: auto */
    struct recipe_choice algorithm;
    double timeout; /* seconds */
};

struct recipe_train {
    bool recompute; /* cheap activations, in the backward pass */
};

struct recipe_checkpoint {
    int every_epochs;     /* 0: not by epochs */
    int every_steps;      /* 0: not by steps */
    double every_minutes; /* 0: not by the clock */
    int keep;
};

struct recipe_guard {
    enum recipe_nonfinite on_nonfinite;
};

struct recipe_metrics {
    int every_steps;
    bool tensorboard; /* event files, too */
    bool grad_norms;  /* of each weight, in lines of steps */
};

struct convoy_recipe {
    struct recipe_model model;
    struct recipe_network *network; /* recipe_network.h; NULL: model.name says which */
    int net_shape[3]; /* of the input of a net that a program brought; 0: any */
    struct recipe_data data;
    struct recipe_batch batch;
    struct recipe_optimizer optimizer;
    struct recipe_schedule schedule;
    struct recipe_loss loss;
    struct recipe_ema ema;
    struct recipe_eval eval;
    struct recipe_init init;
    enum recipe_precision precision;
    uint64_t seed;
    int threads; /* 0: auto */
    int lanes;   /* 0: auto */
    struct recipe_train train;
    struct recipe_exchange exchange;
    struct recipe_checkpoint checkpoint;
    struct recipe_guard guard;
    struct recipe_metrics metrics;

    const struct recipe_catalog *catalog; /* what it can name; borrowed */
    char *source;                         /* the file's name, for messages */
    struct recipe_keys keys;              /* with those of what it chose */
    char **origins; /* [keys.n] "FILE:LINE" or "--set …"; NULL: a default */
};

/* The crop in an epoch, counted from 0; the largest; that of the last epochs. */
int recipe_crop_at(const struct recipe_crops *crops, uint64_t epoch);
int recipe_crop_largest(const struct recipe_crops *crops);
int recipe_crop_last(const struct recipe_crops *crops);
/* One crop for all epochs. */
struct recipe_crops recipe_crops_of(int crop);

/* The resolved recipe as new YAML text (see convoy_recipe_write); free with mem_free.
 */
convoy_status recipe_text(const convoy_recipe *recipe, char **text);

/* Fails with "PLACE: key 'KEY' " and the formatted text, PLACE being where the key was
 * set or the file's name. For values that only others can judge, such as a model's
 * name. Returns FORMAT. */
convoy_status recipe_reject(const convoy_recipe *recipe, const char *key,
                            const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
