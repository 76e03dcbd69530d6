/* Which class each listed image belongs to. The functions set the labels and the
 * listing's class names, order the entries by class and name, and note what is left
 * out. */
#ifndef PACKING_CLASSES_H
#define PACKING_CLASSES_H

#include "packing/devkit.h"
#include "packing/listing.h"

/* Whether entry i begins like an image. */
typedef convoy_status classes_sniffer(void *context, const struct listing *listing,
                                      uint64_t i, bool *is_image);

struct classes_rules {
    const char *path;            /* of the source, for messages */
    const struct devkit *devkit; /* NULL: there is none */
    const char *chosen;          /* option classes: may name folders as classes */
    classes_sniffer *sniff;
    void *context; /* of sniff */
};

/* Without a devkit, the class is the first folder of each name; a folder without any
 * image is no class. With one, the folders must be its classes; or, where there are
 * only files, the class is what it says of the number at the end of each name
 * (ILSVRC2012_val_00000001.JPEG). FORMAT where there are no classes, they are not the
 * devkit's, or they are parts of a data set (part_folders.h): then path is a folder too
 * high. */
convoy_status classes_find(const struct classes_rules *rules, struct listing *listing);

#endif
