/* The progress line of the subcommands: label, bar, share done, figures, time left.
 *
 * It is redrawn at most ten times a second, and a log gets a line every ten seconds.
 * The time left assumes that the rest goes at the mean speed so far.
 *
 * A line that is wider than its terminal goes on in the next row, where no carriage
 * return reaches it, and each redrawing leaves one more row. So its width is asked for
 * with each drawing, what is least needed is left out, and the bar takes the space that
 * is left. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    BAR = 24,      /* the widest, without its brackets */
    LEAST_BAR = 8, /* narrower ones show little */
    USUAL_COLUMNS = 80,
    MAX_COLUMNS = 512,
    MAX_PIECES = 12,
    PIECE_SIZE = 64
};

/* What each piece is needed for, the most needed first. */
enum need {
    NAME = 1,
    SHARE,
    FIRST_FIGURE,
    LEFT,
    SECOND_FIGURE,
    COUNT,
    DRAWING,
    OTHERS
};

struct piece {
    char text[PIECE_SIZE];
    int need;
    bool is_shown;
};

/* In the order of the line. */
struct line {
    struct piece pieces[MAX_PIECES];
    int n;
};

double cli_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_progress_start(struct cli_progress *progress, bool quiet)
{
    double now_s = cli_now_s();
    *progress =
        (struct cli_progress){.quiet = quiet, .started_s = now_s, .last_s = now_s};
}

double cli_progress_rate(const struct cli_progress *progress, uint64_t done)
{
    double passed_s = cli_now_s() - progress->started_s;
    if (!progress->begun || done <= progress->first || passed_s <= 0.0)
        return 0.0;
    return (double)(done - progress->first) / passed_s;
}

static void add(struct line *line, int need, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct line *line, int need, const char *format, ...)
{
    if (line->n == MAX_PIECES)
        return;
    struct piece *piece = &line->pieces[line->n++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece->text, sizeof piece->text, format, arguments);
    va_end(arguments);
    piece->need = need;
    piece->is_shown = true;
}

static void add_figures(struct line *line, const char *figures)
{
    for (int i = 0; *figures; i++) {
        const size_t n = strcspn(figures, ",");
        const int need = i == 0 ? FIRST_FIGURE : i == 1 ? SECOND_FIGURE : OTHERS + i;
        add(line, need, "%s%.*s", i ? ", " : "  ", (int)n, figures);
        figures += n + strspn(figures + n, ", ");
    }
}

/* "  1:02:03 left" or "  2:03 left". */
static void add_left(struct line *line, double seconds)
{
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 3600)
        add(line, LEFT, "  %" PRIu64 ":%02d:%02d left", s / 3600, (int)(s / 60 % 60),
            (int)(s % 60));
    else
        add(line, LEFT, "  %d:%02d left", (int)(s / 60), (int)(s % 60));
}

/* Fills the bar's piece, which may take so many columns more. */
static void draw_bar(struct piece *piece, double share, int more)
{
    const int width = LEAST_BAR + more < BAR ? LEAST_BAR + more : BAR;
    const int filled = (int)(share * width);
    char *to = piece->text;
    *to++ = ' ';
    *to++ = '[';
    for (int i = 0; i < width; i++)
        *to++ = i < filled ? '=' : i == filled ? '>' : ' ';
    *to++ = ']';
    *to = '\0';
}

/* Leaves out what does not fit into so many columns, from the least needed on; returns
 * how many are left. */
static int fit(struct line *line, int columns)
{
    bool is_full = false;
    for (int need = NAME; need < OTHERS + MAX_PIECES; need++)
        for (int i = 0; i < line->n; i++) {
            struct piece *piece = &line->pieces[i];
            const int n = (int)strlen(piece->text);
            if (piece->need != need)
                continue;
            is_full = is_full || n > columns;
            if (need == NAME && is_full)
                piece->text[columns] = '\0';
            piece->is_shown = need == NAME || !is_full;
            columns -= piece->is_shown ? (int)strlen(piece->text) : 0;
        }
    return columns;
}

/* Columns of the terminal on stderr; 0: it is none. */
static int terminal_columns(void)
{
    struct winsize size;
    if (!isatty(STDERR_FILENO))
        return 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return USUAL_COLUMNS;
    return size.ws_col < MAX_COLUMNS ? size.ws_col : MAX_COLUMNS;
}

/* In one piece: stderr has no buffer, and half a line must not be seen. */
static void put(const struct line *line, bool is_terminal)
{
    char text[MAX_PIECES * PIECE_SIZE + 8];
    char *to = text;
    if (is_terminal)
        *to++ = '\r';
    for (int i = 0; i < line->n; i++)
        if (line->pieces[i].is_shown)
            to = stpcpy(to, line->pieces[i].text);
    to = stpcpy(to, is_terminal ? "\033[K" : "\n");
    fwrite(text, 1, (size_t)(to - text), stderr);
    fflush(stderr);
}

void cli_progress_show(struct cli_progress *progress, const char *label, uint64_t done,
                       uint64_t total, const char *figures)
{
    if (progress->quiet)
        return;
    if (!progress->begun)
        progress->first = done;
    progress->begun = true;
    const int columns = terminal_columns();
    const double now_s = cli_now_s(), rate = cli_progress_rate(progress, done);
    const uint64_t counted = done < total ? done : total;
    struct line line = {.n = 0};
    if (now_s - progress->last_s < (columns ? 0.1 : 10.0))
        return;
    progress->last_s = now_s;
    add(&line, NAME, "%s", label);
    if (total && columns)
        add(&line, DRAWING, "%*s", LEAST_BAR + 3, "");
    if (total)
        add(&line, SHARE, " %d%%", (int)(100.0 * (double)counted / (double)total));
    if (total)
        add(&line, COUNT, " %" PRIu64 "/%" PRIu64, done, total);
    else
        add(&line, SHARE, " %" PRIu64, done);
    add_figures(&line, figures);
    if (total > done && rate > 0.0)
        add_left(&line, (double)(total - done) / rate);
    if (columns) {
        /* The last column stays free: some terminals wrap as soon as it is written. */
        const int more = fit(&line, columns - 1);
        if (total && line.pieces[1].is_shown)
            draw_bar(&line.pieces[1], (double)counted / (double)total, more);
    }
    put(&line, columns > 0);
    progress->drawn = columns > 0;
}

void cli_progress_clear(struct cli_progress *progress)
{
    if (progress->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->drawn = false;
}
