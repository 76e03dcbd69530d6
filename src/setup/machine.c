/* Facts of this process and its host. */
#include "setup/machine.h"

#include <convoy/version.h>

#include "base/build.h"
#include "base/cpus.h"
#include "onednn/engine.h"

#include <stdio.h>

void machine_facts(char out[MACHINE_FACTS_SIZE])
{
    char build[BUILD_ID_SIZE], onednn[32], isa[DNN_ISA_SIZE];
    build_id(build);
    dnn_version(onednn);
    dnn_isa(isa);
    snprintf(out, MACHINE_FACTS_SIZE,
             "convoy version\t" CONVOY_VERSION "\noneDNN version\t%s\n"
             "instruction set\t%s\noneDNN's instruction set\t%s\n"
             "build of convoy\t%s\n",
             onednn, cpus_isa(), isa, build);
}
