/* The loader: threads that turn records into microbatches ready for the net.
 *
 * It produces a fixed sequence of microbatches for one rank. Microbatch j of step t
 * holds positions (t·M + j)·m … of the epoch's order (t counted within the epoch); a
 * rank produces j in [first, first + count) of each step. What a microbatch holds
 * depends on options and pack only, never on n_threads, prefetch, consumers or the
 * range. With augment.repeats = R each position of a step's first R-th part is used R
 * times (sampler_batch).
 *
 * Rank and ranges are plain ints: no MPI here. All functions are local. Of one loader,
 * loader_next and loader_release may be called by as many threads at once as there are
 * consumers, the others by one thread at a time; loader_start, loader_stop and
 * loader_destroy while no thread is within loader_next.
 *
 * From a record to a sample of h x w, as torchvision would:
 * - training with resized_crop: RandomResizedCrop; pad is then not used;
 * - otherwise a random crop of the padded record where pad > 0, else a centre crop;
 *   image files that are not h x w already first get a shorter side of `resize`;
 * - with flip, left and right are exchanged for one sample in two;
 * - TrivialAugmentWide, of u8 pixels;
 * - ColorJitter, of values in [0, 1] that are not rounded; after normalisation
 *   RandomErasing with 0;
 * - mixup or cutmix of the samples of a microbatch;
 * - evaluating: Resize(resize) of image files, whatever their size, then CenterCrop.
 *
 * Padding is 0 before normalisation. A sample is then (v / 255 - mean) / std, in f32,
 * and may be rounded to bf16 in the end.
 */
#ifndef LOAD_LOADER_H
#define LOAD_LOADER_H

#include "load/augment.h"
#include "pack/pack.h"

#include <sched.h>
#include <stdbool.h>

/* Where the threads get records from, if not straight from the pack. */
struct record_reader {
    /* As pack_read. step: of training (evaluating: 0); row: of this rank's samples in
     * that step. Called from many threads. */
    convoy_status (*read)(void *context, uint64_t step, int row, uint64_t record,
                          void **buffer, size_t *capacity, struct pack_record *read);
    void *context;
    bool is_fed; /* a step's records can be read only after loader_feed told so */
};

/* The processors of the threads: first for n of them, others for those that come after.
 */
struct loader_places {
    int n;
    cpu_set_t first, others;
};

/* From an epoch on (counted from 0), samples of side x side. */
struct loader_crop {
    uint64_t epoch;
    int side;
};

struct loader_options {
    int microbatch;     /* m: samples a microbatch */
    int n_microbatches; /* M: microbatches a step; evaluating: in all, M·m >= records */
    int first, count;   /* this rank's range of [0, M); evaluating, count may be 0 */
    int at_most;  /* evaluating, how many microbatches an evaluator is to have, which
                     sets  the range by it; 0: all. Not read here */
    int shape[3]; /* channels, height, width of a sample as the net takes it */
    /* Training with several sizes: [n_crops], epochs ascending from 0, borrowed until
     * loader_destroy; shape then has the largest. NULL: all have shape. */
    const struct loader_crop *crops;
    int n_crops;
    float mean[3], std[3]; /* of pixel values scaled to [0, 1], a channel */
    bool bf16;             /* samples are bf16 in place of f32 */
    struct augment augment;
    int resize;    /* image files: shorter side before the crop; 0: the larger of
                      h and w times 256 / 224, rounded */
    bool evaluate; /* one pass in order over all records, the last microbatch
                      filled up with label -1 and zeros; no augmentation */
    bool shuffle;  /* training only */
    uint64_t seed;
    int n_threads;   /* >= 1 */
    int max_threads; /* as many while loader_next has to wait; 0: n_threads */
    int consumers;   /* threads that take microbatches at the same time; 0: 1 */
    bool skip_bad;   /* a record that is damaged (FORMAT) becomes zeros with label -1 */
    const struct record_reader *reader; /* borrowed; NULL: pack_read */
    /* read by loader_create; NULL: all have cpus_mask of the thread that calls it */
    const struct loader_places *places;
    int prefetch; /* microbatches ready ahead, beside one for each consumer; 0: a good
                     number, at least one for each consumer */
    /* NULL, or a loader that outlives this one and lends it the memory of its
     * microbatches, where that is enough: loader_start here stops the lender, which
     * then needs a loader_start of its own, after loader_stop here. */
    struct loader *lender;
};

/* A microbatch. Borrowed from the loader until loader_release or loader_start. */
struct batch {
    void *images;          /* [m, c, h, w], f32 or bf16, normalised; starts on a
                              cache line. Who holds it may write to it */
    const int32_t *labels; /* [m]; -1: no sample */
    /* NULL, or of samples that are mixed (mixing.h): a second label [m], and what part
     * of the sample the first one is, from 0.5 to 1 [m] */
    const int32_t *partners;
    const float *shares;
    const uint32_t *records; /* [n_samples]: which they are */
    int n_samples;           /* records: the first n_samples rows */
    int n_skipped;           /* of them, damaged: label -1, zeros */
    uint64_t first_skipped;  /* of these, the record of the first row; 0: none */
    uint64_t step;           /* counted from the start of training; 0 evaluating */
    int index;               /* j, or the number of the microbatch evaluating */
    int slot;                /* the loader's own */
};

struct loader;

/* Steps in one epoch of training: floor(n_records / (m·M)); the rest of an epoch's
 * order is left out, another rest each epoch. 0 where m or M is not positive. */
uint64_t loader_steps_per_epoch(uint64_t n_records, int microbatch, int n_microbatches);

/* How many steps ahead of the one that is taken a training loader with these options
 * may read records, if at least `least` of each step's microbatches are its own. The
 * same on all ranks only where prefetch and consumers are. */
int loader_steps_ahead(const struct loader_options *options, int least);

/* Bytes of the memory that a loader with these options holds microbatches in, where
 * none is lent; UINT64_MAX where that is too much to count. Buffers of its threads, of
 * about a record each, are not counted. The options are ones that loader_create takes.
 */
uint64_t loader_bytes(const struct loader_options *options);

/* The order of a shuffled epoch: (*order)[p] is the record at position p, [n_records].
 * New; free with mem_free. Errors: ARGUMENT (more than 2^32 - 1 records), MEMORY. */
convoy_status loader_order(uint64_t n_records, uint64_t seed, uint64_t epoch,
                           uint32_t **order);

/* New; free with loader_destroy. pack is borrowed until then. Threads, also those
 * that are started later, have the processors that options name. They wait for
 * loader_start. Errors: ARGUMENT (options that contradict each other or the
 * pack: fewer records than a step needs, a channel count that cannot be had, records
 * too small for the crop, …; the text names the pack and both sides), MEMORY, LIBRARY
 * (no more threads). */
convoy_status loader_create(const convoy_pack *pack,
                            const struct loader_options *options,
                            struct loader **loader);

/* Says that the records of all steps before `before` can be read now. For a loader
 * whose reader is_fed; loader_start takes it back. */
void loader_feed(struct loader *loader, uint64_t before);

/* Reader threads at work now. */
int loader_threads(const struct loader *loader);

/* Stops what runs, takes back every microbatch still held, and starts at the given step
 * of training (evaluating: 0, from the first record). May be called any number of
 * times, also after an error. Errors: ARGUMENT (evaluating, another step). */
convoy_status loader_start(struct loader *loader, uint64_t step);

/* Stops what runs and takes back every microbatch still held; loader_next needs
 * loader_start then. */
void loader_stop(struct loader *loader);

/* Waits for the next microbatch of this rank's sequence: of several consumers each gets
 * another. Evaluating, after the last: *batch has n_samples 0 and images NULL (and
 * needs no release). What one consumer holds keeps no other waiting, as long as all
 * together hold no more than prefetch + consumers.
 * Errors: what a reader thread met in this microbatch (of several the one of its first
 * row; the text names pack and record), again at each further call until loader_start,
 * by whichever consumer; ARGUMENT (not started; prefetch + consumers are held already
 * and no consumer is left to release one: all are within loader_next). */
convoy_status loader_next(struct loader *loader, struct batch *batch);

/* Gives the microbatch back, in any order; its memory is filled again. */
void loader_release(struct loader *loader, const struct batch *batch);

/* Seconds that loader_next waited since the last call of this, a mean over consumers.
 */
double loader_waited_s(struct loader *loader);

/* What the threads have read straight from the pack since loader_create, and the time
 * of these reads, all threads together. Of records from elsewhere (reader) nothing. */
struct loader_read {
    uint64_t bytes;
    double seconds;
};
struct loader_read loader_read(const struct loader *loader);

/* Joins the threads, whatever they are at. Takes NULL. */
void loader_destroy(struct loader *loader);

#endif
