/* What a training would take of a host, and where its files lie. */
#include "doctor/facts.h"

#include <convoy/pack.h>
#include <convoy/trainer.h>

#include "base/status.h"
#include "doctor/survey.h"
#include "recipe/recipe.h"
#include "train/trainer_lanes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* f_type of statfs. */
static const struct file_system {
    unsigned long type;
    const char *name, *kind;
} file_systems[] = {
    {0x01021994, "tmpfs", "memory"},    {0x858458f6, "ramfs", "memory"},
    {0x00006969, "NFS", "shared"},      {0x0bd00bd0, "Lustre", "shared"},
    {0x47504653, "GPFS", "shared"},     {0x19830326, "BeeGFS", "shared"},
    {0x00c36400, "Ceph", "shared"},     {0xaad7aaea, "PanFS", "shared"},
    {0xff534d42, "CIFS", "shared"},     {0xfe534d42, "SMB", "shared"},
    {0x0000ef53, "ext4", "local"},      {0x58465342, "XFS", "local"},
    {0x9123683e, "Btrfs", "local"},     {0x2fc12fc1, "ZFS", "local"},
    {0x794c7630, "overlayfs", "local"}, {0x65735546, "FUSE", "unknown"},
};

static void tell(FILE *facts, const char *name, const char *what, const char *value)
{
    char fact[64];
    snprintf(fact, sizeof fact, "%s %s", name, what);
    survey_put(facts, fact, value);
}

void facts_of_file_system(FILE *facts, const char *name, const char *path)
{
    struct statfs info;
    struct file_system found = {.name = "a file system of another kind",
                                .kind = "unknown"};
    if (statfs(path, &info) != 0)
        return;
    for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++)
        if (file_systems[i].type == ((unsigned long)info.f_type & 0xffffffff))
            found = file_systems[i];
    tell(facts, name, "file system", found.name);
    tell(facts, name, "kind", found.kind);
}

static void tell_number(FILE *facts, const char *name, const char *what, double value)
{
    char fact[64];
    snprintf(fact, sizeof fact, "%s %s", name, what);
    survey_put_number(facts, fact, value);
}

void facts_of_room(FILE *facts, const char *name, const char *path)
{
    struct statvfs room;
    struct stat info;
    char device[32];
    if (statvfs(path, &room) != 0 || stat(path, &info) != 0 ||
        (room.f_flag & ST_RDONLY) != 0) /* full by its nature */
        return;
    snprintf(device, sizeof device, "%ju", (uintmax_t)info.st_dev);
    tell(facts, name, "device", device);
    tell_number(facts, name, "space", (double)room.f_blocks * (double)room.f_frsize);
    tell_number(facts, name, "space left",
                (double)room.f_bavail * (double)room.f_frsize);
    tell_number(facts, name, "files", (double)room.f_files);
    tell_number(facts, name, "files left", (double)room.f_favail);
}

/* Days since the file was read or written, whichever was last: what a scratch file
 * system goes by when it deletes. */
static double age_days(const struct stat *info)
{
    const time_t last =
        info->st_atime > info->st_mtime ? info->st_atime : info->st_mtime;
    return difftime(time(NULL), last) / 86400;
}

static void tell_pack(FILE *facts, const char *name, const char *path)
{
    struct stat info;
    convoy_pack *pack = NULL;
    tell(facts, name, "path", path);
    if (stat(path, &info) == 0) {
        facts_of_file_system(facts, name, path);
        facts_of_room(facts, name, path);
        tell_number(facts, name, "age", age_days(&info));
    }
    if (convoy_pack_open(path, &pack) == CONVOY_OK) {
        tell(facts, name, "id", convoy_pack_describe(pack)->id);
        tell_number(facts, name, "bytes", (double)convoy_pack_describe(pack)->n_bytes);
        convoy_pack_close(pack);
    } else {
        tell(facts, name, "error", convoy_status_text());
    }
}

void facts_of_weights(FILE *facts, const char *path)
{
    static const char *const name = "initial weights";
    struct stat info;
    tell(facts, name, "path", path);
    const bool is_there = stat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode)) { /* to open a pipe may wait for ever */
        tell(facts, name, "error", "this is no file");
        return;
    }
    const int fd = is_there ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        tell(facts, name, "error", strerror(errno));
        return;
    }
    close(fd);
    tell_number(facts, name, "bytes", (double)info.st_size);
}

static void tell_plan(FILE *facts, convoy_recipe *recipe,
                      const struct foresight *foresight)
{
    convoy_trainer_info info;
    uint64_t least = 0;
    char text[512];
    if (trainer_foresee(recipe, foresight, &info, &least, text, sizeof text) !=
        CONVOY_OK) {
        survey_put(facts, "plan error", convoy_status_text());
        return;
    }
    survey_put(facts, "plan", text);
    survey_put_number(facts, "plan bytes", (double)info.memory.total);
    survey_put_number(facts, "plan least bytes", (double)least);
}

void facts_of_training(FILE *facts, const convoy_doctor_options *options, int ranks,
                       const struct cores *cores)
{
    const char *folder = getenv("TMPDIR");
    convoy_recipe *recipe = NULL;
    survey_put(facts, "tmpdir path", folder && *folder ? folder : "/tmp");
    facts_of_file_system(facts, "tmpdir", folder && *folder ? folder : "/tmp");
    facts_of_room(facts, "current folder", ".");
    if (options->pack)
        tell_pack(facts, "pack", options->pack);
    if (!options->recipe)
        return;
    if (convoy_recipe_load(options->recipe, options->overrides, options->n_overrides,
                           &recipe) != CONVOY_OK) {
        survey_put(facts, "plan error", convoy_status_text());
        return;
    }
    if (*recipe->data.train)
        tell_pack(facts, "pack", recipe->data.train);
    if (*recipe->data.val)
        tell_pack(facts, "validation pack", recipe->data.val);
    if (*recipe->init.weights)
        facts_of_weights(facts, recipe->init.weights);
    survey_put(facts, "staging", recipe->data.read == RECIPE_READ_STAGE ? "1" : "0");
    /* The plan is of lanes that cores have room for, whatever memory holds of them. */
    tell_plan(facts, recipe, &(struct foresight){.ranks = ranks, .cores = cores});
    convoy_recipe_destroy(recipe);
}
