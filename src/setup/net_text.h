/* A net that a program built, as a recipe's network. */
#ifndef SETUP_NET_TEXT_H
#define SETUP_NET_TEXT_H

#include <convoy/net.h>

/* The layers of net, all but its loss, as the YAML of a recipe's `network`. Local.
 * *text is new; free with mem_free. Errors: ARGUMENT (it does not pass
 * convoy_net_check, or a recipe could not name its layers), MEMORY. */
convoy_status net_text(const convoy_net *net, char **text);

#endif
