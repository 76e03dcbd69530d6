/* The insides of a plan, which plan_rows.c makes and plan_text.c writes. */
#ifndef PLAN_PLAN_PARTS_H
#define PLAN_PLAN_PARTS_H

#include <convoy/plan.h>

#include "plan/plan_input.h"
#include "plan/plan_network.h"
#include "plan/plan_step.h"

enum { PLAN_TEXT_SIZE = 256 };

/* The fastest of the settings that were tried on as many nodes. */
struct plan_advice {
    struct plan_setting setting; /* of the same bits */
    double step_s;               /* 0: there is no better one */
    int microbatch;              /* one that is better still, with other results */
    double microbatch_step_s;    /* 0: none */
};

struct convoy_plan {
    struct plan_input input;
    struct plan_network network;
    char network_text[PLAN_TEXT_SIZE];
    convoy_plan_options options;                /* its pointers are not used */
    convoy_plan_row rows[CONVOY_PLAN_MAX_ROWS]; /* [n_rows] */
    char why[CONVOY_PLAN_MAX_ROWS][PLAN_TEXT_SIZE];
    struct plan_advice advice[CONVOY_PLAN_MAX_ROWS];
    int n_rows;
    double measured_s; /* what is predicted for the run itself */
};

#endif
