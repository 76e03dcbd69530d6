/* The kinds of bench, each in its file. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

/* bench loader: argv[0] is "loader"; an exit status. */
int bench_loader(int argc, char **argv);

/* bench exchange: argv[0] is "exchange"; an exit status. */
int bench_exchange(int argc, char **argv);

#endif
