/* From YAML to a recipe: defaults first, then the file, then the overrides, then the
 * rules between keys. File and overrides are read twice: the first time only for what
 * they choose, the optimizer say, since that decides which keys there are. Defaults and
 * overrides are small YAML texts that take the same way as the file's values. libyaml's
 * documents keep the line of every node, for messages.
 *
 * A recipe uses mappings, lists and scalars. Tags, several documents in a file, keys
 * that are no scalars and keys with a dot are refused; aliases work, and cannot loop,
 * since only known sections are descended into.
 */
#include "recipe/recipe_catalog.h"

#include "base/file.h"
#include "base/memory.h"
#include "recipe/recipe_check.h"
#include "recipe/recipe_choice.h"
#include "recipe/recipe_network.h"
#include "recipe/recipe_value.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

enum { PLACE_SIZE = 512, MAX_FILE_BYTES = 1 << 20 };

/* What is being read into a recipe. */
struct reading {
    yaml_document_t *document;
    const char *file; /* the file's name, or the whole place ("--set …") */
    bool has_lines;   /* false: file is the whole place */
    bool choosing;    /* only what chooses is read, and what is unknown passes */
    const char *text; /* what is being read; has_lines: not kept */
    convoy_recipe *recipe;
};

static void place_at(const struct reading *reading, yaml_mark_t mark,
                     char out[PLACE_SIZE])
{
    if (reading->has_lines)
        snprintf(out, PLACE_SIZE, "%s:%zu", reading->file, mark.line + 1);
    else
        snprintf(out, PLACE_SIZE, "%s", reading->file);
}

static convoy_status reject_unknown(const convoy_recipe *recipe, const char *place,
                                    const char *path)
{
    char nearest[RECIPE_PATH_SIZE], shown[RECIPE_SHOWN_SIZE], options[256];
    const struct recipe_choice *choice = recipe_choice_in(recipe, path);
    const struct option_owner *other = recipe_option_elsewhere(recipe, path);
    recipe_nearest(recipe, path, nearest);
    recipe_show_text(path, shown);
    if (!choice)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' is unknown; the nearest is '%s'",
                    place, shown, nearest);
    recipe_choice_options(choice, options, sizeof options);
    if (other)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' is an option of %s; %s", place,
                    shown, other->name, options);
    if (choice->owner->n_options == 0) /* what it has is the section's own */
        recipe_section_keys(recipe, path, options, sizeof options);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' is unknown; the nearest is '%s'; %s",
                place, shown, nearest, options);
}

static convoy_status read_network(struct reading *reading, const yaml_node_t *node)
{
    struct recipe_network *network = NULL;
    convoy_status status = recipe_network_read(
        reading->recipe->catalog, reading->document, node, reading->file, &network);
    if (status != CONVOY_OK)
        return status;
    recipe_network_destroy(reading->recipe->network);
    reading->recipe->network = network;
    return CONVOY_OK;
}

static convoy_status read_key(struct reading *reading, int i, const yaml_node_t *node,
                              const char *place)
{
    convoy_recipe *recipe = reading->recipe;
    const struct option *key = recipe_key_at(recipe, i);
    if (reading->choosing && key->type != OPTION_OWNER)
        return CONVOY_OK;
    if (recipe_node_has_tag(node))
        return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' has a YAML tag; remove it",
                    place, key->name);
    if (reading->choosing)
        return recipe_choice_read(key, node, place, recipe);
    char *origin = NULL;
    convoy_status status = CONVOY_OK;
    if (key->type == OPTION_NETWORK)
        TRY(read_network(reading, node));
    else if (key->type != OPTION_OWNER)
        TRY(recipe_value_read(key, reading->document, node, place, recipe));
    TRY(mem_copy_text(place, &origin));
    mem_free(recipe->origins[i]);
    recipe->origins[i] = origin;
cleanup:
    return status;
}

/* A second name of a key, which says what it is beside data.val_crop; else path. */
static const char *first_name(const char *path)
{
    return strcmp(path, "data.val_resize") == 0 ? "data.resize" : path;
}

/* "model" + "name" -> "model.name". A path that is cut matches no key. */
static void join_path(const char *section, const char *name, char out[RECIPE_PATH_SIZE])
{
    snprintf(out, RECIPE_PATH_SIZE, "%s%s%s", section, *section ? "." : "", name);
}

/* An unknown section is named with its first key: "optimzer.momentum" says more than
 * "optimzer". */
static convoy_status reject_unknown_node(const struct reading *reading,
                                         const char *path, const yaml_node_t *value,
                                         const char *place)
{
    char whole[RECIPE_PATH_SIZE];
    snprintf(whole, sizeof whole, "%s", path);
    if (value->type == YAML_MAPPING_NODE &&
        value->data.mapping.pairs.start < value->data.mapping.pairs.top) {
        const yaml_node_t *first = yaml_document_get_node(
            reading->document, value->data.mapping.pairs.start->key);
        if (first->type == YAML_SCALAR_NODE)
            join_path(path, (const char *)first->data.scalar.value, whole);
    }
    return reject_unknown(reading->recipe, place, whole);
}

/* The text of pair's key; fails where it is none, holds a dot or came before. */
static convoy_status pair_name(const struct reading *reading,
                               const yaml_node_t *mapping, const yaml_node_pair_t *pair,
                               const char *place, const char **name)
{
    const yaml_node_t *key = yaml_document_get_node(reading->document, pair->key);
    if (key->type != YAML_SCALAR_NODE)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: a list or a section stands as a key, "
                    "expected a name",
                    place);
    const char *text = (const char *)key->data.scalar.value;
    char shown[RECIPE_SHOWN_SIZE];
    recipe_show_text(text, shown);
    if (strchr(text, '.'))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' holds a dot; write one section in the other", place,
                    shown);
    const yaml_node_pair_t *other = mapping->data.mapping.pairs.start;
    for (; other < pair; other++) {
        const yaml_node_t *earlier =
            yaml_document_get_node(reading->document, other->key);
        if (strcmp((const char *)earlier->data.scalar.value, text) == 0)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: key '%s' is there twice; the first is on line %zu", place,
                        shown, earlier->start_mark.line + 1);
    }
    *name = text;
    return CONVOY_OK;
}

static convoy_status read_section(struct reading *reading, const char *section,
                                  const yaml_node_t *mapping);

static convoy_status read_pair(struct reading *reading, const char *section,
                               const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
    char place[PLACE_SIZE], path[RECIPE_PATH_SIZE];
    const char *name = NULL;
    yaml_document_t *document = reading->document;
    place_at(reading, yaml_document_get_node(document, pair->key)->start_mark, place);
    convoy_status status = pair_name(reading, mapping, pair, place, &name);
    if (status != CONVOY_OK)
        return status;
    join_path(section, name, path);
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    int i = recipe_key_find(reading->recipe, first_name(path));
    if (i >= 0 && !reading->choosing && reading->recipe->origins[i])
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' is another name of one that is there already (%s); "
                    "remove one of the two",
                    place, path, reading->recipe->origins[i]);
    if (i < 0 && value->type == YAML_SCALAR_NODE && recipe_short_key(path))
        i = recipe_key_find(reading->recipe, recipe_short_key(path));
    if (i >= 0)
        return read_key(reading, i, value, place);
    const bool is_section = recipe_is_section(reading->recipe, path);
    if (is_section && value->type == YAML_MAPPING_NODE)
        return read_section(reading, path, value);
    if (reading->choosing)
        return CONVOY_OK;
    if (!is_section)
        return reject_unknown_node(reading, path, value, place);
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: key '%s' is a section, expected keys below it", place, path);
}

static convoy_status read_section(struct reading *reading, const char *section,
                                  const yaml_node_t *mapping)
{
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    convoy_status status = CONVOY_OK;
    for (; pair < mapping->data.mapping.pairs.top; pair++)
        TRY(read_pair(reading, section, mapping, pair));
cleanup:
    return status;
}

/* libyaml gives no line where bytes are not UTF-8, only their position. */
static size_t problem_line(const yaml_parser_t *parser, const char *text)
{
    if (parser->error != YAML_READER_ERROR)
        return parser->problem_mark.line + 1;
    size_t line = 1;
    for (size_t i = 0; i < parser->problem_offset && text[i]; i++)
        line += text[i] == '\n';
    return line;
}

static convoy_status fail_parse(const struct reading *reading,
                                const yaml_parser_t *parser, const char *text)
{
    const char *problem = parser->problem ? parser->problem : "out of memory";
    if (!reading->has_lines)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: the value is not YAML: %s", reading->file,
                    problem);
    return FAIL(CONVOY_ERROR_FORMAT, "%s:%zu: not YAML: %s", reading->file,
                problem_line(parser, text), problem);
}

/* Loads the next document of the stream; *root is NULL at the stream's end. */
static convoy_status next_document(const struct reading *reading, yaml_parser_t *parser,
                                   const char *text, const yaml_node_t **root)
{
    if (!yaml_parser_load(parser, reading->document))
        return fail_parse(reading, parser, text);
    *root = yaml_document_get_root_node(reading->document);
    return CONVOY_OK;
}

static convoy_status reject_second(const struct reading *reading, yaml_parser_t *parser,
                                   const char *text)
{
    yaml_document_t second;
    struct reading other = *reading;
    other.document = &second;
    const yaml_node_t *root = NULL;
    convoy_status status = next_document(&other, parser, text, &root);
    if (status != CONVOY_OK)
        return status;
    if (root) {
        char place[PLACE_SIZE];
        place_at(reading, second.start_mark, place);
        status = FAIL(CONVOY_ERROR_FORMAT,
                      "%s: a second YAML document begins, expected one", place);
    }
    yaml_document_delete(&second);
    return status;
}

/* Parses text and hands its root (NULL: there is none) to read with index. */
static convoy_status read_text(struct reading *reading, const char *text, int index,
                               convoy_status (*read)(struct reading *reading, int index,
                                                     const yaml_node_t *root))
{
    yaml_parser_t parser;
    yaml_document_t document;
    bool has_document = false;
    convoy_status status = CONVOY_OK;
    if (!yaml_parser_initialize(&parser))
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a YAML parser");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    reading->document = &document;
    const yaml_node_t *root = NULL;
    TRY(next_document(reading, &parser, text, &root));
    has_document = true;
    if (root)
        TRY(reject_second(reading, &parser, text));
    TRY(read(reading, index, root));
cleanup:
    if (has_document)
        yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    reading->document = NULL;
    return status;
}

static convoy_status read_root(struct reading *reading, int index,
                               const yaml_node_t *root)
{
    (void)index;
    if (!root)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: is empty, expected at least model.name and data.train",
                    reading->file);
    char place[PLACE_SIZE];
    place_at(reading, root->start_mark, place);
    if (root->type != YAML_MAPPING_NODE)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: holds a %s, expected sections of keys",
                    place, root->type == YAML_SEQUENCE_NODE ? "list" : "text");
    return read_section(reading, "", root);
}

/* The whole text of an override as a value: " #" is part of a file's name there. */
static convoy_status read_words(struct reading *reading, int index)
{
    union {
        const char *text;
        yaml_char_t *as_yaml;
    } words = {.text = reading->text};
    yaml_node_t node = {.type = YAML_SCALAR_NODE, .tag = (yaml_char_t *)YAML_STR_TAG};
    node.data.scalar.value = words.as_yaml; /* only read */
    node.data.scalar.length = strlen(reading->text);
    node.data.scalar.style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return read_key(reading, index, &node, reading->file);
}

/* Whether YAML read only the beginning of an override's text, and took the rest for a
 * comment. */
static bool is_cut(const struct reading *reading, const yaml_node_t *root)
{
    const char *rest = reading->text;
    if (reading->has_lines || !rest)
        return false;
    if (root) /* marks count characters, not bytes */
        for (size_t i = 0; *rest && i < root->end_mark.index; rest++)
            i += ((unsigned char)rest[1] & 0xc0) != 0x80;
    return strspn(rest, " \t") != strlen(rest);
}

static convoy_status read_value(struct reading *reading, int index,
                                const yaml_node_t *root)
{
    if (is_cut(reading, root) && (!root || recipe_node_is_plain(root)) &&
        recipe_key_at(reading->recipe, index)->type == OPTION_TEXT)
        return read_words(reading, index);
    if (is_cut(reading, root))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: what stands behind # is a comment in YAML; remove it",
                    reading->file);
    yaml_char_t nothing[] = "";
    yaml_node_t empty = {.type = YAML_SCALAR_NODE, .tag = (yaml_char_t *)YAML_STR_TAG};
    empty.data.scalar.value = nothing;
    bool is_text = recipe_key_at(reading->recipe, index)->type == OPTION_TEXT;
    empty.data.scalar.style =
        is_text ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
    return read_key(reading, index, root ? root : &empty, reading->file);
}

static convoy_status set_defaults(convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        struct reading reading = {.file = "default", .recipe = recipe};
        const struct option *key = recipe_key_at(recipe, i);
        const char *text = key->default_text;
        if (!text || key->type == OPTION_OWNER)
            continue;
        TRY(read_text(&reading, text, i, read_value));
        mem_free(recipe->origins[i]);
        recipe->origins[i] = NULL;
    }
cleanup:
    return status;
}

static convoy_status apply_override(convoy_recipe *recipe, const char *override,
                                    bool choosing)
{
    char place[PLACE_SIZE], path[RECIPE_PATH_SIZE], shown[RECIPE_SHOWN_SIZE];
    recipe_show_text(override, shown);
    snprintf(place, sizeof place, "--set %s", shown);
    const char *equals = strchr(override, '=');
    if (!equals || equals == override)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: expected key.path=value, such as schedule.lr=0.2", place);
    snprintf(path, sizeof path, "%.*s", (int)(equals - override), override);
    int i = recipe_key_find(recipe, first_name(path));
    if (i < 0 && equals[1] != '{' && recipe_short_key(path))
        i = recipe_key_find(recipe, recipe_short_key(path));
    if (choosing && (i < 0 || recipe_key_at(recipe, i)->type != OPTION_OWNER))
        return CONVOY_OK;
    if (i < 0 && recipe_is_section(recipe, path))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' is a section; set one of its keys", place, path);
    if (i < 0)
        return reject_unknown(recipe, place, path);
    if (recipe_key_at(recipe, i)->type == OPTION_NETWORK)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: key '%s' cannot be set on the command line; write the list of "
                    "layers in a recipe",
                    place, path);
    struct reading reading = {
        .file = place, .text = equals + 1, .choosing = choosing, .recipe = recipe};
    return read_text(&reading, equals + 1, i, read_value);
}

static void free_origins(convoy_recipe *recipe)
{
    for (int i = 0; recipe->origins && i < recipe->keys.n; i++)
        mem_free(recipe->origins[i]);
    mem_free(recipe->origins);
    recipe->origins = NULL;
}

static convoy_status make_keys(convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    free_origins(recipe);
    TRY(recipe_keys_make(recipe));
    TRY(mem_alloc_array((size_t)recipe->keys.n, sizeof *recipe->origins,
                        (void **)&recipe->origins));
cleanup:
    return status;
}

static convoy_status create_recipe(const struct recipe_catalog *catalog,
                                   const char *name, convoy_recipe **recipe)
{
    convoy_recipe *new_recipe = NULL;
    convoy_status status = CONVOY_OK;
    TRY(recipe_alloc(catalog, &new_recipe));
    TRY(mem_copy_text(name, &new_recipe->source));
    TRY(make_keys(new_recipe));
    *recipe = new_recipe;
    new_recipe = NULL;
cleanup:
    convoy_recipe_destroy(new_recipe);
    return status;
}

/* Every recipe has a model's name, for messages and checkpoints. */
static convoy_status name_network(convoy_recipe *recipe)
{
    char *name = NULL;
    convoy_status status = mem_copy_text(RECIPE_NETWORK_NAME, &name);
    if (status != CONVOY_OK)
        return status;
    mem_free(recipe->model.name);
    recipe->model.name = name;
    return CONVOY_OK;
}

static convoy_status read_all(convoy_recipe *recipe, bool choosing, const char *text,
                              const char *const *overrides, int n_overrides)
{
    convoy_status status = CONVOY_OK;
    struct reading reading = {.file = recipe->source,
                              .has_lines = true,
                              .choosing = choosing,
                              .recipe = recipe};
    TRY(read_text(&reading, text, 0, read_root));
    for (int i = 0; i < n_overrides; i++)
        TRY(apply_override(recipe, overrides[i], choosing));
cleanup:
    return status;
}

/* The network that a program brings. */
static convoy_status take_network(convoy_recipe *recipe, const char *network)
{
    static const char key[] = "network";
    struct reading reading = {.file = "net", .has_lines = true, .recipe = recipe};
    if (recipe->network)
        return recipe_reject(recipe, key,
                             "is there, but the program brings a net of its own; "
                             "remove it");
    return read_text(&reading, network, recipe_key_find(recipe, key), read_value);
}

/* network: NULL, or the list that stands for the key. */
static convoy_status load(const struct recipe_catalog *catalog, const char *name,
                          const char *text, const char *network,
                          const char *const *overrides, int n_overrides,
                          convoy_recipe **recipe)
{
    convoy_recipe *new_recipe = NULL;
    convoy_status status = CONVOY_OK;
    TRY(create_recipe(catalog, name, &new_recipe));
    TRY(read_all(new_recipe, true, text, overrides, n_overrides));
    recipe_choose_defaults(new_recipe);
    TRY(make_keys(new_recipe));
    TRY(set_defaults(new_recipe));
    TRY(read_all(new_recipe, false, text, overrides, n_overrides));
    if (network)
        TRY(take_network(new_recipe, network));
    TRY(recipe_check(new_recipe));
    if (new_recipe->network && !*new_recipe->model.name)
        TRY(name_network(new_recipe));
    *recipe = new_recipe;
    new_recipe = NULL;
cleanup:
    convoy_recipe_destroy(new_recipe);
    return status;
}

convoy_status recipe_load_network(const struct recipe_catalog *catalog,
                                  const char *name, const char *text,
                                  const char *network, const char *const *overrides,
                                  int n_overrides, convoy_recipe **recipe)
{
    /* The caller's locale may write numbers with a comma. */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t callers = uselocale(plain);
    convoy_status status =
        load(catalog, name, text, network, overrides, n_overrides, recipe);
    uselocale(callers);
    if (plain)
        freelocale(plain);
    return status;
}

convoy_status recipe_load_text(const struct recipe_catalog *catalog, const char *name,
                               const char *text, const char *const *overrides,
                               int n_overrides, convoy_recipe **recipe)
{
    return recipe_load_network(catalog, name, text, NULL, overrides, n_overrides,
                               recipe);
}

convoy_status recipe_load(const struct recipe_catalog *catalog, const char *path,
                          const char *const *overrides, int n_overrides,
                          convoy_recipe **recipe)
{
    char *text = NULL;
    size_t n = 0;
    convoy_status status = CONVOY_OK;
    struct stat info;
    if (stat(path, &info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (info.st_size > MAX_FILE_BYTES)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: is no recipe: it has %lld bytes, expected at most %d", path,
                    (long long)info.st_size, MAX_FILE_BYTES);
    TRY(file_read_all(path, &text, &n));
    if (strlen(text) != n)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no recipe: it holds null bytes", path));
    TRY(recipe_load_text(catalog, path, text, overrides, n_overrides, recipe));
cleanup:
    mem_free(text);
    return status;
}

void convoy_recipe_destroy(convoy_recipe *recipe)
{
    if (!recipe)
        return;
    free_origins(recipe);
    for (int i = 0; i < recipe->keys.n; i++)
        recipe_value_free(recipe_key_at(recipe, i), recipe);
    recipe_keys_free(&recipe->keys);
    mem_free(recipe->source);
    mem_free(recipe);
}
