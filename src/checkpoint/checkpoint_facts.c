/* Facts by a table: one row an attribute of the root. Writing, reading, hashing and
 * printing follow from it; the class names are a dataset, since they may be many.
 */
#include "checkpoint/checkpoint_facts.h"

#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define CLASS_NAMES "class_names"

enum fact_type { FACT_U64, FACT_INT, FACT_TEXT };

#define AT(field) offsetof(struct checkpoint_facts, field)

/* The order is part of the content hash. A new fact goes to the end, with a since of
 * its own: CHECKPOINT_VERSION, raised by one. */
static const struct {
    const char *name;
    enum fact_type type;
    size_t offset;
    int since; /* the first format version whose files have it; 0 or "" in older ones */
} table[] = {
    {"step", FACT_U64, AT(step), 1},
    {"steps_per_epoch", FACT_U64, AT(steps_per_epoch), 1},
    {"recipe", FACT_TEXT, AT(recipe), 1},
    {"model", FACT_TEXT, AT(model), 1},
    {"classes", FACT_INT, AT(classes), 1},
    {"input_channels", FACT_INT, AT(input_shape[0]), 1},
    {"input_height", FACT_INT, AT(input_shape[1]), 1},
    {"input_width", FACT_INT, AT(input_shape[2]), 1},
    {"train_pack", FACT_TEXT, AT(train_pack), 1},
    {"val_pack", FACT_TEXT, AT(val_pack), 1},
    {"microbatch", FACT_INT, AT(microbatch), 1},
    {"n_microbatches", FACT_INT, AT(n_microbatches), 1},
    {"threads", FACT_INT, AT(threads), 1},
    {"isa", FACT_TEXT, AT(isa), 1},
    {"convoy_version", FACT_TEXT, AT(convoy_version), 1},
    {"onednn_version", FACT_TEXT, AT(onednn_version), 1},
    {"mpi_version", FACT_TEXT, AT(mpi_version), 1},
    {"hdf5_version", FACT_TEXT, AT(hdf5_version), 1},
    {"onednn_isa", FACT_TEXT, AT(onednn_isa), 2},
    {"changes", FACT_TEXT, AT(changes), 2},
};

enum { N_FACTS = (int)(sizeof table / sizeof table[0]) };
_Static_assert((int)N_FACTS <= (int)CHECKPOINT_MAX_FACTS, "room for every fact's text");

static const void *field_of(const struct checkpoint_facts *facts, int i)
{
    return (const char *)facts + table[i].offset;
}

static const char *text_of(const struct checkpoint_facts *facts, int i)
{
    const char *text = *(const char *const *)field_of(facts, i);
    return text ? text : "";
}

static uint64_t number_of(const struct checkpoint_facts *facts, int i)
{
    const void *field = field_of(facts, i);
    int number = 0;
    if (table[i].type == FACT_U64)
        return *(const uint64_t *)field;
    memcpy(&number, field, sizeof number);
    return (uint64_t)number;
}

convoy_status checkpoint_facts_write(struct h5_file *file,
                                     const struct checkpoint_facts *facts, int version)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < N_FACTS; i++) {
        if (table[i].since > version)
            continue;
        if (table[i].type == FACT_TEXT)
            TRY(h5_write_text(file, "/", table[i].name, text_of(facts, i)));
        else
            TRY(h5_write_i64(file, "/", table[i].name, (int64_t)number_of(facts, i)));
    }
    TRY(h5_write_texts(file, CLASS_NAMES, facts->class_names, facts->n_class_names));
cleanup:
    return status;
}

static convoy_status read_number(const struct h5_file *file, int i, void *field)
{
    int64_t value = 0;
    convoy_status status = h5_read_i64(file, "/", table[i].name, &value);
    if (status != CONVOY_OK)
        return status;
    int64_t most = table[i].type == FACT_U64 ? INT64_MAX : INT_MAX;
    if (value < 0 || value > most)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: attribute '%s' is %" PRId64 ", expected 0 to %" PRId64
                    ": the file is damaged",
                    h5_path(file), table[i].name, value, most);
    if (table[i].type == FACT_U64)
        *(uint64_t *)field = (uint64_t)value;
    else
        *(int *)field = (int)value;
    return CONVOY_OK;
}

/* The text of fact i, which owned now has. */
static void take_text(struct checkpoint_owned_facts *owned, int i, char *text)
{
    owned->texts[i] = text;
    *(const char **)((char *)&owned->facts + table[i].offset) = text;
}

convoy_status checkpoint_facts_read(const struct h5_file *file, int version,
                                    struct checkpoint_owned_facts *owned)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint_facts *facts = &owned->facts;
    for (int i = 0; i < N_FACTS; i++) {
        void *field = (char *)facts + table[i].offset;
        const bool has = table[i].since <= version;
        char *text = NULL;
        if (!has && table[i].type != FACT_TEXT)
            continue;
        if (table[i].type != FACT_TEXT) {
            TRY(read_number(file, i, field));
            continue;
        }
        TRY(has ? h5_read_text(file, "/", table[i].name, &text)
                : mem_copy_text("", &text));
        take_text(owned, i, text);
    }
    TRY(h5_read_texts(file, CLASS_NAMES, &owned->class_names, &facts->n_class_names));
    facts->class_names = (const char *const *)owned->class_names;
cleanup:
    return status;
}

void checkpoint_facts_free(struct checkpoint_owned_facts *owned)
{
    for (int i = 0; i < CHECKPOINT_MAX_FACTS; i++)
        mem_free(owned->texts[i]);
    h5_free_texts(owned->class_names, owned->facts.n_class_names);
}

convoy_status checkpoint_facts_put(struct wire *wire,
                                   const struct checkpoint_facts *facts)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < N_FACTS; i++) {
        if (table[i].type == FACT_TEXT)
            TRY(wire_put_text(wire, text_of(facts, i)));
        else
            TRY(wire_put_u64(wire, number_of(facts, i)));
    }
    TRY(wire_put_u64(wire, facts->n_class_names));
    for (size_t i = 0; i < facts->n_class_names; i++)
        TRY(wire_put_text(wire, facts->class_names[i]));
cleanup:
    return status;
}

static convoy_status get_class_names(struct wire *wire,
                                     struct checkpoint_owned_facts *owned)
{
    convoy_status status = CONVOY_OK;
    uint64_t n = 0;
    TRY(wire_get_u64(wire, &n));
    TRY(mem_alloc_array((size_t)n, sizeof *owned->class_names,
                        (void **)&owned->class_names));
    owned->facts.class_names = (const char *const *)owned->class_names;
    for (; owned->facts.n_class_names < n; owned->facts.n_class_names++)
        TRY(wire_get_text(wire, &owned->class_names[owned->facts.n_class_names]));
cleanup:
    return status;
}

convoy_status checkpoint_facts_get(struct wire *wire,
                                   struct checkpoint_owned_facts *owned)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < N_FACTS; i++) {
        void *field = (char *)&owned->facts + table[i].offset;
        char *text = NULL;
        uint64_t number = 0;
        if (table[i].type == FACT_TEXT) {
            TRY(wire_get_text(wire, &text));
            take_text(owned, i, text);
            continue;
        }
        TRY(wire_get_u64(wire, &number));
        if (table[i].type == FACT_U64)
            *(uint64_t *)field = number;
        else
            *(int *)field = (int)number;
    }
    TRY(get_class_names(wire, owned));
cleanup:
    return status;
}

void checkpoint_facts_hash(struct hash *hash, const struct checkpoint_facts *facts,
                           int version)
{
    for (int i = 0; i < N_FACTS; i++) {
        if (table[i].since > version)
            continue;
        checkpoint_hash_text(hash, table[i].name);
        if (table[i].type == FACT_TEXT)
            checkpoint_hash_text(hash, text_of(facts, i));
        else
            checkpoint_hash_u64(hash, number_of(facts, i));
    }
    checkpoint_hash_u64(hash, facts->n_class_names);
    for (size_t i = 0; i < facts->n_class_names; i++)
        checkpoint_hash_text(hash, facts->class_names[i]);
}

/* A text of several lines, indented below its name. */
static void print_lines(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, "%s:\n", name);
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(stream, "  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void checkpoint_facts_print(const struct checkpoint_facts *facts, FILE *stream)
{
    for (int i = 0; i < N_FACTS; i++) {
        if (table[i].type != FACT_TEXT)
            fprintf(stream, "%s: %" PRIu64 "\n", table[i].name, number_of(facts, i));
        else if (table[i].offset != AT(recipe) && table[i].offset != AT(changes))
            fprintf(stream, "%s: %s\n", table[i].name, text_of(facts, i));
    }
    if (facts->changes && *facts->changes)
        print_lines("changes", facts->changes, stream);
    print_lines("recipe", facts->recipe ? facts->recipe : "", stream);
}
