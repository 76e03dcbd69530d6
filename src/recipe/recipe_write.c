/* The resolved recipe as YAML: every key of the table in its order, sections nested.
 * libyaml's emitter does the quoting.
 */
#include "base/memory.h"
#include "base/text.h"
#include "recipe/recipe_network.h"
#include "recipe/recipe_value.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static yaml_char_t *as_yaml(const char *text)
{
    return (yaml_char_t *)(uintptr_t)text; /* libyaml copies and never writes to it */
}

/* libyaml's emitter frees the event, whether it succeeds or not. */
static bool emit_scalar(yaml_emitter_t *emitter, const char *text,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;
    return yaml_scalar_event_initialize(&event, NULL, NULL, as_yaml(text),
                                        (int)strlen(text), 1, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_mapping_start(yaml_emitter_t *emitter, yaml_mapping_style_t style)
{
    yaml_event_t event;
    return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_mapping_end(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    return yaml_mapping_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_list_start(yaml_emitter_t *emitter, yaml_sequence_style_t style)
{
    yaml_event_t event;
    return yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_list_end(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    return yaml_sequence_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_number(yaml_emitter_t *emitter, double value)
{
    char text[TEXT_NUMBER_SIZE];
    text_of_number(value, text);
    return emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_text(yaml_emitter_t *emitter, const char *text)
{
    return emit_scalar(emitter, text, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static bool emit_numbers(yaml_emitter_t *emitter, const struct recipe_numbers *numbers)
{
    bool ok = emit_list_start(emitter, YAML_FLOW_SEQUENCE_STYLE);
    for (int i = 0; ok && i < numbers->n; i++)
        ok = emit_number(emitter, numbers->values[i]);
    return ok && emit_list_end(emitter);
}

static bool emit_texts(yaml_emitter_t *emitter, const struct recipe_texts *texts)
{
    bool ok = emit_list_start(emitter, YAML_FLOW_SEQUENCE_STYLE);
    for (int i = 0; ok && i < texts->n; i++)
        ok = emit_text(emitter, texts->values[i]);
    return ok && emit_list_end(emitter);
}

static bool emit_scales(yaml_emitter_t *emitter, const struct recipe_scales *scales)
{
    bool ok = emit_mapping_start(emitter, YAML_FLOW_MAPPING_STYLE);
    for (int i = 0; ok && i < scales->n; i++)
        ok = emit_text(emitter, scales->prefixes[i]) &&
             emit_number(emitter, scales->factors[i]);
    return ok && emit_mapping_end(emitter);
}

static bool emit_word(yaml_emitter_t *emitter, const char *text)
{
    return emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_named(yaml_emitter_t *emitter, const char *name, int value)
{
    return emit_word(emitter, name) && emit_number(emitter, value);
}

static bool emit_ramp(yaml_emitter_t *emitter, const struct recipe_ramp *ramp)
{
    return emit_mapping_start(emitter, YAML_FLOW_MAPPING_STYLE) &&
           emit_named(emitter, "from", ramp->from) &&
           emit_named(emitter, "to", ramp->to) &&
           emit_named(emitter, "begin", ramp->begin) &&
           emit_named(emitter, "end", ramp->end) &&
           emit_named(emitter, "round", ramp->round) && emit_mapping_end(emitter);
}

static bool emit_crops(yaml_emitter_t *emitter, const struct recipe_crops *crops)
{
    if (crops->ramp.from > 0)
        return emit_ramp(emitter, &crops->ramp);
    if (crops->n == 1)
        return emit_number(emitter, crops->list[0].crop);
    bool ok = emit_list_start(emitter, YAML_FLOW_SEQUENCE_STYLE);
    for (int i = 0; ok && i < crops->n; i++)
        ok = emit_mapping_start(emitter, YAML_FLOW_MAPPING_STYLE) &&
             emit_named(emitter, "epoch", crops->list[i].epoch) &&
             emit_named(emitter, "crop", crops->list[i].crop) &&
             emit_mapping_end(emitter);
    return ok && emit_list_end(emitter);
}

/* What stands beside an entry's kind or layers. */
static bool emit_entry_words(yaml_emitter_t *emitter, const struct recipe_entry *entry)
{
    bool ok = true;
    if (entry->repeat)
        ok = emit_word(emitter, "repeat") && emit_number(emitter, entry->repeat);
    if (ok && entry->is_named)
        ok = emit_word(emitter, "as") && emit_text(emitter, entry->name);
    if (ok && entry->from.n)
        ok = emit_word(emitter, "from") && emit_texts(emitter, &entry->from);
    return ok;
}

/* One line: {conv: {out: 64, kernel: 3}, as: "conv1", from: ["x"]}. */
static bool emit_layer(yaml_emitter_t *emitter, const struct recipe_entry *entry)
{
    const struct option_owner *kind = entry->kind;
    bool ok = emit_mapping_start(emitter, YAML_FLOW_MAPPING_STYLE) &&
              emit_word(emitter, kind->name) &&
              emit_mapping_start(emitter, YAML_FLOW_MAPPING_STYLE);
    for (int i = 0; ok && i < kind->n_options; i++) {
        char text[OPTION_VALUE_SIZE];
        if (!(entry->given & UINT64_C(1) << i))
            continue;
        option_get(&kind->options[i], entry->attributes, text);
        ok = emit_word(emitter, kind->options[i].name) && emit_word(emitter, text);
    }
    return ok && emit_mapping_end(emitter) && emit_entry_words(emitter, entry) &&
           emit_mapping_end(emitter);
}

static bool emit_entries(yaml_emitter_t *emitter, const struct recipe_entry *block)
{
    bool ok = emit_list_start(emitter, YAML_BLOCK_SEQUENCE_STYLE);
    for (int i = 0; ok && i < block->n_layers; i++) {
        const struct recipe_entry *entry = &block->layers[i];
        if (entry->kind)
            ok = emit_layer(emitter, entry);
        else
            ok = emit_mapping_start(emitter, YAML_BLOCK_MAPPING_STYLE) &&
                 emit_entry_words(emitter, entry) && emit_word(emitter, "layers") &&
                 emit_entries(emitter, entry) && emit_mapping_end(emitter);
    }
    return ok && emit_list_end(emitter);
}

static bool emit_network(yaml_emitter_t *emitter, const struct recipe_network *network)
{
    if (network)
        return emit_entries(emitter, &network->list);
    return emit_list_start(emitter, YAML_FLOW_SEQUENCE_STYLE) && emit_list_end(emitter);
}

static bool emit_value(yaml_emitter_t *emitter, const struct option *key,
                       const convoy_recipe *recipe)
{
    const void *field = recipe_field_const(key, recipe);
    if (key->type == OPTION_NUMBERS)
        return emit_numbers(emitter, field);
    if (key->type == OPTION_TEXTS)
        return emit_texts(emitter, field);
    if (key->type == OPTION_SCALES)
        return emit_scales(emitter, field);
    if (key->type == OPTION_CROPS)
        return emit_crops(emitter, field);
    if (key->type == OPTION_NETWORK)
        return emit_network(emitter, recipe->network);
    if (key->type == OPTION_TEXT)
        return emit_text(emitter, *(char *const *)field);
    if (key->type == OPTION_OWNER)
        return emit_word(emitter, ((const struct recipe_choice *)field)->owner->name);
    char text[OPTION_VALUE_SIZE];
    option_get(key, recipe, text);
    return *text ? emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE)
                 : emit_text(emitter, text);
}

/* Length of the part of path that both share, counting whole sections: 5 ("data.") for
 * "data.crop" and "data.augment.pad". */
static size_t common_section(const char *path, const char *before)
{
    size_t n = 0;
    for (size_t i = 0; path[i] && path[i] == before[i]; i++)
        if (path[i] == '.')
            n = i + 1;
    return n;
}

static int count_dots(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '.';
    return n;
}

/* Closes the sections of the key before that path is not in, opens those that are new,
 * and writes the name of the key. */
static bool emit_path(yaml_emitter_t *emitter, const char *path, const char *before)
{
    size_t common = common_section(path, before);
    bool ok = true;
    for (int open = count_dots(before + common); ok && open > 0; open--)
        ok = emit_mapping_end(emitter);
    const char *part = path + common;
    for (const char *dot = strchr(part, '.'); ok && dot; dot = strchr(part, '.')) {
        char section[RECIPE_PATH_SIZE];
        snprintf(section, sizeof section, "%.*s", (int)(dot - part), part);
        ok = emit_scalar(emitter, section, YAML_PLAIN_SCALAR_STYLE) &&
             emit_mapping_start(emitter, YAML_BLOCK_MAPPING_STYLE);
        part = dot + 1;
    }
    return ok && emit_scalar(emitter, part, YAML_PLAIN_SCALAR_STYLE);
}

/* The keys from first to before end. */
static bool emit_keys(yaml_emitter_t *emitter, const convoy_recipe *recipe, int first,
                      int end)
{
    const char *before = "";
    bool ok = emit_mapping_start(emitter, YAML_BLOCK_MAPPING_STYLE);
    for (int i = first; ok && i < end; i++) {
        const struct option *key = recipe_key_at(recipe, i);
        ok = emit_path(emitter, key->name, before) && emit_value(emitter, key, recipe);
        before = key->name;
    }
    for (int open = count_dots(before); ok && open >= 0; open--)
        ok = emit_mapping_end(emitter);
    return ok;
}

static bool emit_document(yaml_emitter_t *emitter, const convoy_recipe *recipe,
                          int first, int end)
{
    yaml_event_t event;
    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
           yaml_emitter_emit(emitter, &event) &&
           emit_keys(emitter, recipe, first, end) &&
           yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(emitter, &event) &&
           yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

static convoy_status write_keys(const convoy_recipe *recipe, int first, int end,
                                FILE *stream)
{
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter))
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a YAML emitter");
    yaml_emitter_set_output_file(&emitter, stream);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1); /* no line breaks within a value */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t callers = uselocale(plain);
    bool ok = emit_document(&emitter, recipe, first, end);
    uselocale(callers);
    if (plain)
        freelocale(plain);
    const char *problem = emitter.problem ? emitter.problem : "write error";
    convoy_status status = CONVOY_OK;
    if (!ok || fflush(stream) != 0 || ferror(stream))
        status = FAIL(CONVOY_ERROR_IO, "cannot write the recipe: %s", problem);
    yaml_emitter_delete(&emitter);
    return status;
}

convoy_status convoy_recipe_write(const convoy_recipe *recipe, FILE *stream)
{
    return write_keys(recipe, 0, recipe_n_keys(recipe), stream);
}

static convoy_status keys_text(const convoy_recipe *recipe, int first, int end,
                               char **text)
{
    char *buffer = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&buffer, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a stream for the recipe");
    convoy_status status = write_keys(recipe, first, end, stream);
    if (fclose(stream) != 0 && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the recipe's text");
    if (status == CONVOY_OK)
        status = mem_copy_text(buffer, text);
    free(buffer);
    return status;
}

convoy_status recipe_text(const convoy_recipe *recipe, char **text)
{
    return keys_text(recipe, 0, recipe_n_keys(recipe), text);
}

convoy_status recipe_key_text(const convoy_recipe *recipe, int i, char **text)
{
    return keys_text(recipe, i, i + 1, text);
}
