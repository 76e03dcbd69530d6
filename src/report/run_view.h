/* All that a run directory says of a run, for people to look at: whatever of it can be
 * read, and what could not. Local, all of it. */
#ifndef REPORT_RUN_VIEW_H
#define REPORT_RUN_VIEW_H

#include "json/json_value.h"
#include "metrics/metric.h"
#include "report/curve.h"
#include "report/report_run.h"
#include "report/view_gradients.h"

enum view_curve {
    VIEW_LOSS, /* over epochs, these */
    VIEW_TOP1,
    VIEW_TOP5,
    VIEW_RATE,
    VIEW_INPUT_WAIT,
    VIEW_VAL_LOSS,
    VIEW_VAL_TOP1,
    VIEW_VAL_TOP5,
    VIEW_CROP,
    VIEW_EMA_TOP1,
    VIEW_SPEED, /* images a second over minutes of training */
    N_VIEW_CURVES
};

/* Of a picture, the whole file. */
struct view_picture {
    const char *name; /* "confusion.png" */
    char *bytes;      /* [n]; NULL: there is none */
    size_t n;
};

enum { N_VIEW_PICTURES = 2 };

struct run_view {
    char *path;
    const char *name;                   /* the last part of path */
    char *model;                        /* "": not known */
    struct curve curves[N_VIEW_CURVES]; /* as many points as a plot shows */
    struct view_gradients gradients;
    uint64_t n_lines;                     /* of metrics.jsonl */
    struct metric_start place;            /* of the newest life; ranks 0: not known */
    struct metric_step last;              /* step 0: there is none */
    struct metric_epoch last_epoch, best; /* step 0: there is none */
    struct report_ranks ranks;
    double training_s; /* the steps' time */
    uint64_t n_saves, n_evaluations, skipped, skipped_steps;
    double save_s, save_waited_s, evaluation_s;
    double energy_j;                   /* of all epochs that tell it */
    struct json_value *run, *timeline; /* NULL: not there, or not to be read */
    char *recipe;                      /* NULL likewise */
    char *facts; /* of the recipe, lines "key.path: value"; NULL: it is none */
    struct view_picture pictures[N_VIEW_PICTURES];
    char **problems; /* [n_problems] texts */
    int n_problems;
    size_t problems_capacity; /* bytes */
};

/* Reads what there is in folder. *view: to be freed with run_view_free, on error, too.
 * Error: MEMORY. What cannot be read becomes problems. */
convoy_status run_view_read(const char *folder, struct run_view *view);

/* Whether there is anything to show. */
bool run_view_shows(const struct run_view *view);

/* A number or a text of the run's newest life, or of timeline.json; NaN and NULL: it is
 * not there. */
double run_view_number(const struct json_value *object, const char *name);
const char *run_view_text(const struct json_value *object, const char *name);

/* The object of the newest life in run.json; NULL: there is none. */
const struct json_value *run_view_life(const struct run_view *view);

/* Whether the newest life ended where --stop-after-steps says: the whole training's
 * steps are then not what was meant to be done. */
bool run_view_is_stopped(const struct run_view *view);

void run_view_free(struct run_view *view);

#endif
