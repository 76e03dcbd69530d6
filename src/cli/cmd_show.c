/* convoy show WHAT: pictures of what a net has learnt and sees, and of samples. What it
 * finds is told on stdout, a line each, then the files that it has written. */
#include "cli/cli.h"

#include <convoy/scene.h>
#include <convoy/show.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

struct show_part;

struct show_arguments {
    const struct show_part *part;
    const char *weights, *operand, *recipe;
    const char **layers; /* [argc] */
    convoy_show_options options;
    int width, height; /* of the scene; 0: not given */
    bool quiet, has_record;
    struct cli_progress progress;
};

/* One of the things that can be shown. */
struct show_part {
    const char *name, *label;
    bool needs_weights, takes_layers;
    bool takes_image; /* an image file, or a record of --data */
    bool takes_class, takes_window, takes_n;
    bool takes_pack; /* as its operand */
    bool needs_data; /* --data PACK, all of it */
    bool is_scene;   /* one file, and nothing of a net or a pack */
    convoy_status (*run)(const struct show_arguments *a);
};

static convoy_status run_kernels(const struct show_arguments *a)
{
    return convoy_show_kernels(a->weights, &a->options);
}

static convoy_status run_activations(const struct show_arguments *a)
{
    return convoy_show_activations(a->weights, a->operand, &a->options);
}

static convoy_status run_cam(const struct show_arguments *a)
{
    return convoy_show_cam(a->weights, a->operand, &a->options);
}

static convoy_status run_saliency(const struct show_arguments *a)
{
    return convoy_show_saliency(a->weights, a->operand, &a->options);
}

static convoy_status run_occlusion(const struct show_arguments *a)
{
    return convoy_show_occlusion(a->weights, a->operand, &a->options);
}

static convoy_status run_confusion(const struct show_arguments *a)
{
    return convoy_show_confusion(a->weights, a->options.pack, &a->options);
}

static convoy_status run_samples(const struct show_arguments *a)
{
    return convoy_show_samples(a->operand, a->recipe, &a->options);
}

static convoy_status run_scene(const struct show_arguments *a)
{
    const char *path = a->options.output;
    const int width = a->width ? a->width : 480, height = a->width ? a->height : 320;
    const convoy_status status = convoy_scene_save(path, width, height);
    if (status == CONVOY_OK)
        a->options.wrote(a->options.context, path);
    return status;
}

static const struct show_part parts[] = {
    {.name = "kernels",
     .label = "drawing",
     .needs_weights = true,
     .takes_layers = true,
     .run = run_kernels},
    {.name = "activations",
     .label = "drawing",
     .needs_weights = true,
     .takes_layers = true,
     .takes_image = true,
     .run = run_activations},
    {.name = "cam",
     .label = "drawing",
     .needs_weights = true,
     .takes_layers = true,
     .takes_image = true,
     .takes_class = true,
     .run = run_cam},
    {.name = "saliency",
     .label = "drawing",
     .needs_weights = true,
     .takes_image = true,
     .takes_class = true,
     .run = run_saliency},
    {.name = "occlusion",
     .label = "hiding",
     .needs_weights = true,
     .takes_image = true,
     .takes_class = true,
     .takes_window = true,
     .run = run_occlusion},
    {.name = "confusion",
     .label = "evaluating",
     .needs_weights = true,
     .needs_data = true,
     .takes_n = true,
     .run = run_confusion},
    {.name = "samples",
     .label = "drawing",
     .takes_pack = true,
     .takes_n = true,
     .run = run_samples},
    {.name = "scene", .label = "drawing", .is_scene = true, .run = run_scene},
};

enum { N_PARTS = sizeof parts / sizeof *parts };

static int set_count(const char *option, const char *text, int *out)
{
    if (cli_count(text, CLI_MAX_COUNT, out))
        return CLI_DONE;
    return cli_usage(&command_show, "%s takes a whole number above 0, not '%s'", option,
                     text);
}

static int set_record(struct show_arguments *a, const char *text)
{
    char *end = NULL;
    a->options.record = strtoull(text, &end, 10);
    a->has_record = true;
    if (*text < '0' || *text > '9' || *end)
        return cli_usage(&command_show, "--record takes a whole number, not '%s'",
                         text);
    return CLI_DONE;
}

static int set_size(struct show_arguments *a, const char *text)
{
    char rest;
    if (sscanf(text, "%dx%d%c", &a->width, &a->height, &rest) == 2 && a->width > 0)
        return CLI_DONE;
    return cli_usage(&command_show,
                     "--size takes WIDTHxHEIGHT, such as 480x320, not '%s'", text);
}

/* Takes in what getopt_long answered for one option. */
static int take_option(int option, char **argv, struct show_arguments *a)
{
    convoy_show_options *o = &a->options;
    switch (option) {
    case 'o':
        o->output = optarg;
        return CLI_DONE;
    case 'h':
        o->html = optarg;
        return CLI_DONE;
    case 'v':
        o->values = optarg;
        return CLI_DONE;
    case 'w':
        a->weights = optarg;
        return CLI_DONE;
    case 'e':
        o->ema = true;
        return CLI_DONE;
    case 'l':
        a->layers[o->n_layers++] = optarg;
        return CLI_DONE;
    case 'c':
        o->class_name = optarg;
        return CLI_DONE;
    case 'd':
        o->pack = optarg;
        return CLI_DONE;
    case 'r':
        return set_record(a, optarg);
    case 'a':
        a->recipe = optarg;
        return CLI_DONE;
    case 'n':
        return set_count("--n", optarg, &o->n);
    case 'W':
        return set_count("--window", optarg, &o->window);
    case 's':
        return set_count("--stride", optarg, &o->stride);
    case 'S':
        return set_size(a, optarg);
    case 'q':
        a->quiet = true;
        return CLI_DONE;
    default:
        return cli_bad_option(&command_show, option, argv);
    }
}

static int read_options(int argc, char **argv, struct show_arguments *a)
{
    static const struct option longs[] = {{"output", required_argument, NULL, 'o'},
                                          {"html", required_argument, NULL, 'h'},
                                          {"values", required_argument, NULL, 'v'},
                                          {"weights", required_argument, NULL, 'w'},
                                          {"ema", no_argument, NULL, 'e'},
                                          {"layer", required_argument, NULL, 'l'},
                                          {"class", required_argument, NULL, 'c'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"record", required_argument, NULL, 'r'},
                                          {"augmented", required_argument, NULL, 'a'},
                                          {"n", required_argument, NULL, 'n'},
                                          {"window", required_argument, NULL, 'W'},
                                          {"stride", required_argument, NULL, 's'},
                                          {"size", required_argument, NULL, 'S'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {0}};
    int option, code = CLI_DONE;
    opterr = 0;
    while (code == CLI_DONE &&
           (option = getopt_long(argc, argv, ":o:", longs, NULL)) != -1)
        code = take_option(option, argv, a);
    return code;
}

/* An option that a part has no use for is a slip, and is told. */
static int check_options(const struct show_part *part, const struct show_arguments *a)
{
    const convoy_show_options *o = &a->options;
    const struct {
        bool given, taken;
        const char *option;
    } all[] = {
        {a->weights, part->needs_weights, "--weights"},
        {o->ema, part->needs_weights, "--ema"},
        {o->n_layers > 0, part->takes_layers, "--layer"},
        {o->class_name, part->takes_class, "--class"},
        {o->pack, part->takes_image || part->needs_data, "--data"},
        {a->has_record, part->takes_image, "--record"},
        {a->recipe, part->takes_pack, "--augmented"},
        {o->n > 0, part->takes_n, "--n"},
        {o->window > 0, part->takes_window, "--window"},
        {o->stride > 0, part->takes_window, "--stride"},
        {a->width > 0, part->is_scene, "--size"},
        {o->html, !part->is_scene, "--html"},
        {o->values, !part->is_scene, "--values"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].given && !all[i].taken)
            return cli_usage(&command_show, "%s takes no %s", part->name,
                             all[i].option);
    return CLI_DONE;
}

static bool is_png(const char *name)
{
    const size_t n = name ? strlen(name) : 0;
    return n > 4 && strcmp(name + n - 4, ".png") == 0;
}

static int check_needs(const struct show_part *part, const struct show_arguments *a)
{
    const convoy_show_options *o = &a->options;
    if (part->needs_weights && !a->weights)
        return cli_usage(&command_show, "%s: --weights FILE is missing: a checkpoint",
                         part->name);
    if (part->needs_data && !o->pack)
        return cli_usage(&command_show, "%s: --data PACK is missing", part->name);
    if (part->takes_pack && !a->operand)
        return cli_usage(&command_show, "%s: of which PACK?", part->name);
    if (part->is_scene && !is_png(o->output))
        return cli_usage(&command_show, "%s: where to? -o FILE.png", part->name);
    if (part->takes_image && !a->operand && (!o->pack || !a->has_record))
        return cli_usage(&command_show,
                         "%s: which IMAGE? A file, or --data PACK --record N",
                         part->name);
    if (part->takes_image && a->operand && (o->pack || a->has_record))
        return cli_usage(&command_show,
                         "%s: either an image file, or --data PACK --record N",
                         part->name);
    if (!o->output && !o->html && !o->values)
        return cli_usage(
            &command_show,
            "%s: where to? -o FOLDER, -o FILE.png, --html FILE or --values "
            "FILE",
            part->name);
    if ((o->output && !*o->output) || (o->html && !*o->html) ||
        (o->values && !*o->values))
        return cli_usage(&command_show, "%s: a file or folder needs a name",
                         part->name);
    return CLI_DONE;
}

static void say(void *context, const char *line)
{
    struct show_arguments *a = context;
    cli_progress_clear(&a->progress);
    if (!a->quiet)
        cli_print_line(stdout, "", line);
}

static void wrote(void *context, const char *path)
{
    struct show_arguments *a = context;
    cli_progress_clear(&a->progress);
    if (!a->quiet)
        cli_print_line(stdout, "wrote ", path);
}

static void tell_progress(void *context, uint64_t done, uint64_t total)
{
    struct show_arguments *a = context;
    cli_progress_show(&a->progress, a->part->label, done, total, "");
}

static const struct show_part *find_part(const char *name)
{
    for (int i = 0; i < N_PARTS; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

static int run_part(int argc, char **argv, struct show_arguments *a)
{
    if (optind == argc)
        return cli_usage(&command_show, "what? kernels, activations, cam, saliency, "
                                        "occlusion, confusion, samples or scene");
    const struct show_part *part = find_part(argv[optind]);
    if (!part)
        return cli_usage(&command_show,
                         "'%s' is unknown, expected kernels, activations, cam, "
                         "saliency, occlusion, confusion, samples or scene",
                         argv[optind]);
    optind++;
    const int most = part->takes_image || part->takes_pack ? 1 : 0;
    if (argc - optind > most)
        return cli_usage(&command_show, "%s: '%s' is too much", part->name,
                         argv[optind + most]);
    a->part = part;
    a->operand = optind < argc ? argv[optind] : NULL;
    int code = check_options(part, a);
    if (code == CLI_DONE)
        code = check_needs(part, a);
    if (code != CLI_DONE)
        return code;
    cli_progress_start(&a->progress, a->quiet);
    const convoy_status status = part->run(a);
    cli_progress_clear(&a->progress);
    return cli_finish(status);
}

static int run(int argc, char **argv)
{
    struct show_arguments a = {.layers = cli_new_words(argc)};
    if (!a.layers)
        return CLI_FAILED;
    a.options.layers = a.layers;
    a.options.say = say;
    a.options.wrote = wrote;
    a.options.progress = tell_progress;
    a.options.context = &a;
    int code = cli_check_alone(&command_show);
    if (code == CLI_DONE)
        code = read_options(argc, argv, &a);
    if (code == CLI_DONE)
        code = run_part(argc, argv, &a);
    free(a.layers);
    return code;
}

const struct command command_show = {
    .name = "show",
    .synopsis = "show WHAT [IMAGE | PACK] [-o FOLDER] [--html FILE] [--values FILE]",
    .summary = "pictures of what a net has learnt and sees",
    .help =
        "WHAT is one of\n"
        "  kernels      the kernels of each convolution (of one pixel: if named)\n"
        "  activations  what layers make of an image: by default the last of each "
        "size\n"
        "  cam          where in an image a class is seen (Grad-CAM)\n"
        "  saliency     which pixels change the class' score most\n"
        "  occlusion    what the class loses where a square hides the image\n"
        "  confusion    what the net takes for what in a pack: the matrix, the worst\n"
        "               and the best samples\n"
        "  samples      a contact sheet of a pack\n"
        "  scene        a landscape that is computed, to try kernels on: -o FILE.png\n"
        "\n"
        "  --weights FILE    a checkpoint or imported weights (all but samples)\n"
        "  --ema             the averaged weights in it, in place of the others\n"
        "  -o FOLDER         PNG files, a picture each\n"
        "  -o FILE.png       the one picture that there is\n"
        "  --html FILE       one page with all pictures, which needs nothing but a\n"
        "                    browser; their titles tell the values\n"
        "  --values FILE     the numbers behind the pictures, as HDF5\n"
        "  --layer NAME      a layer of convoy info, once or (kernels, activations)\n"
        "                    several times\n"
        "  --class C         cam, saliency, occlusion: a class' name or number "
        "(default:\n"
        "                    the most probable)\n"
        "  --data PACK       confusion: the pack; with --record N in place of IMAGE: "
        "its\n"
        "                    record N, counted from 0\n"
        "  --augmented RECIPE  samples: as a training by this recipe sees them\n"
        "  --n N             samples: how many (default: 64); confusion: of the worst\n"
        "                    and of the best (default: 24)\n"
        "  --window N, --stride N  occlusion: the square's side (default: a fifth of "
        "the\n"
        "                    image's) and the way to the next (a quarter of that)\n"
        "  --size WxH        scene: width and height in pixels (default: 480x320)\n"
        "  --quiet           say nothing but what goes wrong\n"
        "\n"
        "Images are JPEG or PNG files, prepared as convoy eval prepares those of a "
        "pack.\n"
        "A score is the class' logit, in evaluation mode. Files that are there are "
        "replaced.\n"
        "\n"
        "Example: convoy show cam dog.jpg --weights "
        "runs/a/checkpoints/step-00009370.h5 "
        "\\\n"
        "             -o cam.png --html cam.html\n",
    .run = run,
};
