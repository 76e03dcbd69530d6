/* Sizes of training images by epoch, in any of three forms:
 *
 *     crop: 224
 *     crop: [{epoch: 0, crop: 160}, {epoch: 24, crop: 192}]
 *     crop: {from: 160, to: 192, begin: 6, end: 12, round: 32}
 *
 * A ramp is ffcv's progressive resizing: from up to epoch begin, to from epoch end on,
 * between them linear in the epoch and rounded to a multiple of round, halves to the
 * even one. Whole numbers throughout, so every machine finds the same sizes. It becomes
 * the list of its changes as it is read; nobody else needs to know of ramps. */
#include "recipe/recipe_crops.h"

#include "recipe/recipe_value.h"

#include <string.h>

/* Beyond any training; a ramp is walked through epoch by epoch. */
enum { MAX_EPOCH = 1 << 20 };

int recipe_crop_at(const struct recipe_crops *crops, uint64_t epoch)
{
    int i = crops->n - 1;
    while (i > 0 && (uint64_t)crops->list[i].epoch > epoch)
        i--;
    return crops->list[i].crop;
}

int recipe_crop_largest(const struct recipe_crops *crops)
{
    int largest = 0;
    for (int i = 0; i < crops->n; i++)
        largest = crops->list[i].crop > largest ? crops->list[i].crop : largest;
    return largest;
}

int recipe_crop_last(const struct recipe_crops *crops)
{
    return crops->list[crops->n - 1].crop;
}

/* A number of a map: its name, its range, and where it goes. */
struct part {
    const char *name;
    int *value;
    int least;
    bool is_open; /* may be missing: *value stays */
    bool is_there;
};

/* What is being read. */
struct reading {
    const struct option *key;
    yaml_document_t *document;
    const char *where;
    int entry; /* of a list, from 1; 0: no list */
};

static convoy_status reject(const struct reading *r, const char *what, const char *name)
{
    char which[32] = "";
    if (r->entry)
        snprintf(which, sizeof which, " entry %d", r->entry);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s'%s %s '%s', expected %s", r->where,
                r->key->name, which, what, name,
                r->entry ? "{epoch: E, crop: N}"
                         : "{from: N, to: N, begin: E, end: E, round: N}");
}

static convoy_status read_part(const struct reading *r, const yaml_node_t *node,
                               struct part *part)
{
    long long value = 0;
    char found[RECIPE_FOUND_SIZE];
    const int most = part->least > 0 ? (int)r->key->max : MAX_EPOCH;
    if (part->is_there)
        return reject(r, "has twice", part->name);
    part->is_there = true;
    if (recipe_node_integer(node, &value) && value >= part->least && value <= most) {
        *part->value = (int)value;
        return CONVOY_OK;
    }
    recipe_node_describe(node, found);
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: key '%s': '%s' is %s, expected an integer from %d to %d", r->where,
                r->key->name, part->name, found, part->least, most);
}

/* A map with the n parts, in any order. */
static convoy_status read_parts(const struct reading *r, const yaml_node_t *node, int n,
                                struct part *parts)
{
    convoy_status status = CONVOY_OK;
    if (node->type != YAML_MAPPING_NODE)
        return recipe_value_reject(r->key, node, r->entry, r->where);
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(r->document, pair->key);
        int i = 0;
        if (!recipe_node_is_text(name))
            return recipe_value_reject(r->key, node, r->entry, r->where);
        while (i < n && strcmp(parts[i].name, recipe_node_text(name)) != 0)
            i++;
        if (i == n) {
            char shown[RECIPE_SHOWN_SIZE];
            recipe_show_text(recipe_node_text(name), shown);
            return reject(r, "has", shown);
        }
        TRY(read_part(r, yaml_document_get_node(r->document, pair->value), &parts[i]));
    }
    for (int i = 0; i < n; i++)
        if (!parts[i].is_there && !parts[i].is_open)
            return reject(r, "lacks", parts[i].name);
cleanup:
    return status;
}

static convoy_status reject_many(const struct reading *r)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: key '%s' has more than %d sizes, the most there can be: each "
                "needs a net of its own; name fewer, or make a ramp's round larger",
                r->where, r->key->name, RECIPE_MAX_CROPS);
}

static convoy_status read_entry(const struct reading *r, const yaml_node_t *node,
                                struct recipe_crops *made)
{
    struct recipe_crop *entry = &made->list[made->n];
    struct part parts[] = {{.name = "epoch", .value = &entry->epoch},
                           {.name = "crop", .value = &entry->crop, .least = 1}};
    convoy_status status = read_parts(r, node, 2, parts);
    if (status != CONVOY_OK)
        return status;
    const int before = made->n > 0 ? made->list[made->n - 1].epoch : -1;
    if (made->n == 0 && entry->epoch != 0)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' begins at epoch %d, expected 0: epochs count from 0",
                    r->where, r->key->name, entry->epoch);
    if (entry->epoch <= before)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' has epoch %d after %d, expected ascending epochs",
                    r->where, r->key->name, entry->epoch, before);
    made->n++;
    return CONVOY_OK;
}

static convoy_status read_list(struct reading *r, const yaml_node_t *node,
                               struct recipe_crops *made)
{
    convoy_status status = CONVOY_OK;
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        if (made->n == RECIPE_MAX_CROPS)
            return reject_many(r);
        r->entry = made->n + 1;
        TRY(read_entry(r, yaml_document_get_node(r->document, *item), made));
    }
    if (made->n == 0)
        return recipe_value_reject(r->key, node, 0, r->where);
cleanup:
    return status;
}

/* a / b to the nearest whole number, halves to the even one; neither is negative. */
static int64_t divide(int64_t a, int64_t b)
{
    const int64_t below = a / b, rest = 2 * (a % b);
    return below + (rest > b || (rest == b && below % 2 == 1));
}

/* The ramp's size in an epoch between its ends. */
static int ramp_at(const struct recipe_ramp *ramp, int epoch)
{
    const int64_t n = (int64_t)ramp->end - ramp->begin,
                  i = (int64_t)epoch - ramp->begin;
    if (i <= 0)
        return ramp->from;
    if (i >= n)
        return ramp->to;
    const int64_t times_n = ramp->from * (n - i) + ramp->to * i;
    return (int)divide(times_n, n * ramp->round) * ramp->round;
}

static convoy_status check_ramp(const struct reading *r, const struct recipe_ramp *ramp)
{
    const int ends[] = {ramp->from, ramp->to};
    for (int i = 0; i < 2; i++)
        if (ends[i] % ramp->round != 0)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: key '%s' goes from %d to %d in multiples of %d, of which "
                        "%d is none; set 'round' to a divisor of both",
                        r->where, r->key->name, ramp->from, ramp->to, ramp->round,
                        ends[i]);
    if (ramp->end <= ramp->begin)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' begins at epoch %d and ends at %d, expected a later "
                    "end",
                    r->where, r->key->name, ramp->begin, ramp->end);
    return CONVOY_OK;
}

static convoy_status read_ramp(const struct reading *r, const yaml_node_t *node,
                               struct recipe_crops *made)
{
    convoy_status status = CONVOY_OK;
    struct recipe_ramp *ramp = &made->ramp;
    struct part parts[] = {
        {.name = "from", .value = &ramp->from, .least = 1},
        {.name = "to", .value = &ramp->to, .least = 1},
        {.name = "begin", .value = &ramp->begin},
        {.name = "end", .value = &ramp->end},
        {.name = "round", .value = &ramp->round, .least = 1, .is_open = true}};
    ramp->round = 32;
    TRY(read_parts(r, node, (int)(sizeof parts / sizeof *parts), parts));
    TRY(check_ramp(r, ramp));
    made->list[made->n++] = (struct recipe_crop){0, ramp->from};
    for (int epoch = ramp->begin; epoch <= ramp->end; epoch++) {
        const int crop = ramp_at(ramp, epoch);
        if (crop == made->list[made->n - 1].crop)
            continue;
        if (made->n == RECIPE_MAX_CROPS)
            return reject_many(r);
        made->list[made->n++] = (struct recipe_crop){epoch, crop};
    }
cleanup:
    return status;
}

convoy_status recipe_crops_read(const struct option *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                struct recipe_crops *crops)
{
    convoy_status status = CONVOY_OK;
    struct recipe_crops made = {0};
    struct reading reading = {key, document, where, 0};
    long long value = 0;
    if (node->type == YAML_SEQUENCE_NODE) {
        TRY(read_list(&reading, node, &made));
    } else if (node->type == YAML_MAPPING_NODE) {
        TRY(read_ramp(&reading, node, &made));
    } else {
        if (!recipe_node_integer(node, &value) ||
            (value != 0 && !option_in_range(key, (double)value)))
            return recipe_value_reject(key, node, 0, where);
        made = recipe_crops_of((int)value);
    }
    *crops = made;
cleanup:
    return status;
}

struct recipe_crops recipe_crops_of(int crop)
{
    return (struct recipe_crops){.n = 1, .list = {{0, crop}}};
}
