# shellcheck shell=bash
# pieces.sh: how jobs/lecture.sh makes the pieces of its page; it sources this. A chapter is
# a file of HTML in which {{NAME}} stands for pieces/NAME, a file that was made in this run.
# Everything works in the folder of the run, where the pictures and the recipes lie too, so
# that the commands on the page can be typed there as they stand. lecture.sh sets $convoy,
# the program, $lecture, the folder of this file, and $cores.
# shellcheck disable=SC2154

# broken TEXT...: ends the run, with the last lines of what was said.
broken() {
    echo "lecture.sh: $* failed; in $PWD, log.txt ends with:" >&2
    tail -n 5 log.txt >&2
    exit 1
}

# Text for HTML, also within attributes.
escape() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g'
}

# text PIECE TEXT: a word or a sentence, to stand within a line.
text() {
    printf '%s' "$2" | escape >"pieces/$1"
}

# words WORD...: as a shell reads them, those with odd characters within ''.
words() {
    local word line=
    for word; do
        [[ $word =~ ^[A-Za-z0-9_./:,=+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        line+="${line:+ }$word"
    done
    printf '%s\n' "$line"
}

# note CHAPTER WORD...: a command that the chapter tells.
note() {
    words "${@:2}" | escape >>"pieces/$1.commands"
    printf '$ %s\n' "$(words "${@:2}")" >>log.txt
}

# run CHAPTER ARGUMENT...: convoy with these arguments. What it prints goes to log.txt.
run() {
    note "$1" convoy "${@:2}"
    "$convoy" "${@:2}" >>log.txt 2>&1 || broken "convoy ${*:2}"
}

# ask CHAPTER PIECE ARGUMENT...: likewise; what it prints becomes the piece.
ask() {
    note "$1" convoy "${@:3}"
    "$convoy" "${@:3}" >said.txt 2>>log.txt || broken "convoy ${*:3}"
    tee -a log.txt <said.txt | escape >"pieces/$2"
}

# run_on CHAPTER N ARGUMENT...: run, on N ranks.
run_on() {
    local launcher=(mpirun -np "$2")
    [ "$2" -le "$cores" ] || launcher=(mpirun --oversubscribe -np "$2")
    [ "$2" != 1 ] || launcher=()
    note "$1" "${launcher[@]}" convoy "${@:3}"
    on_ranks "$2" "$convoy" "${@:3}" >>log.txt 2>&1 || broken "convoy ${*:3} on $2 ranks"
}

# figure_of PIECE CLASS CAPTION: what stdin holds, appended to the piece as a figure.
figure_of() {
    {
        printf '<figure%s>\n<figcaption>' "${2:+ class=\"$2\"}"
        printf '%s' "$3" | escape
        printf '</figcaption>\n'
        cat
        printf '</figure>\n'
    } >>"pieces/$1"
}

# image FILE TYPE ALT: an img element that holds the file.
image() {
    [ -s "$1" ] || broken "making $1, which is not there or is empty,"
    printf '<img alt="%s" src="data:%s;base64,' "$(printf '%s' "$3" | escape)" "$2"
    base64 -w 0 "$1"
    printf '">\n'
}

# picture PIECE FILE CAPTION [CLASS]: a PNG or JPEG. The class pixels keeps pixels sharp.
picture() {
    local type=image/png
    [[ $2 == *.png ]] || type=image/jpeg
    image "$2" "$type" "$3" | figure_of "$1" "${4:-}" "$3"
}

# drawing PIECE FILE CAPTION: an SVG that gnuplot drew; as an image, so that the ids of two
# drawings cannot meet.
drawing() {
    image "$2" image/svg+xml "$3" | figure_of "$1" drawing "$3"
}

# lift PIECE FILE [LEAVE]: what a command's page (--html) has in it, with smaller headings,
# without the lines that match LEAVE.
lift() {
    awk -v leave="${3:-^$}" '/^<main>/ { inside = 1; next }
        /<\/main>/ { inside = 0 }
        $0 ~ leave { next }
        inside && /^<h2>/ { gsub(/h2>/, "h4>") }
        inside { print; n += /<figure/ }
        END { exit n == 0 }' "$2" >>"pieces/$1" || broken "finding figures in $2"
}

# matrix PIECE FILE CAPTION CLASS SETTING...: numbers as squares with their values. The
# settings are those of matrix.awk, such as window=0,0,3,3.
matrix() {
    local setting settings=()
    for setting in "${@:5}"; do
        settings+=(-v "$setting")
    done
    awk -f "$lecture/matrix.awk" -v title="$(printf '%s' "$3" | escape)" \
        "${settings[@]}" "$2" >drawn.svg || broken "drawing $2"
    figure_of "$1" "$4" "$3" <drawn.svg
}

# chart PIECE CAPTION X-LABEL Y-LABEL SCALE LABEL=FILE...: curves; a file has lines "X Y".
# SCALE: linear or log, of y. Labels have no "=". In front of it, dots=N: series N are dots;
# stems=N: they are lines from 0; broad=N: they are a broad line.
chart() {
    local n=0 series
    for series in "${@:6}"; do
        [ -s "${series#*=}" ] || broken "finding points for '$2' in ${series#*=}"
        awk -v n="$n" 'NF == 2 { print n, $0 }' "${series#*=}"
        n=$((n + 1))
    done >points.txt
    awk -f "$lecture/chart.awk" -v title="$(printf '%s' "$2" | escape)" \
        -v x_label="$3" -v y_label="$4" -v scale="$5" -v dots="${dots:-}" \
        -v stems="${stems:-}" -v broad="${broad:-}" points.txt >drawn.svg ||
        broken "drawing '$2'"
    [ "$n" = 1 ] || legend "${@:6}" >>drawn.svg
    figure_of "$1" "" "$2" <drawn.svg
}

# legend LABEL=FILE...
legend() {
    local n=0 series
    echo '<ul class="legend">'
    for series in "$@"; do
        printf '<li><span class="key c%d"></span>%s</li>\n' "$n" \
            "$(printf '%s' "${series%%=*}" | escape)"
        n=$((n + 1))
    done
    echo '</ul>'
}

# table_row PIECE WORD CELL...: a row of a table whose first column are words.
table_row() {
    local cell
    {
        printf '<tr><td class="word">%s</td>' "$(printf '%s' "$2" | escape)"
        for cell in "${@:3}"; do
            printf '<td>%s</td>' "$(printf '%s' "$cell" | escape)"
        done
        printf '</tr>\n'
    } >>"pieces/$1"
}

# metric RUN EVENT X Y: the points (X, Y) of a run's lines of this event.
metric() {
    awk -f "$lecture/metric.awk" -v event="$2" -v x="$3" -v y="$4" "$1/metrics.jsonl"
}

# 24864180 becomes 24,864,180.
grouped() {
    sed -e ':again' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/' -e 'tagain' <<<"$1"
}

# fill FILE: the file with every {{NAME}} replaced. What is missing ends the run: no page
# has an empty place.
fill() {
    local line name
    while IFS= read -r line || [ -n "$line" ]; do
        while [[ $line == *'{{'*'}}'* ]]; do
            printf '%s' "${line%%'{{'*}"
            line=${line#*'{{'}
            name=${line%%'}}'*}
            line=${line#*'}}'}
            [ -s "pieces/$name" ] || broken "filling $1: the piece '$name'"
            cat "pieces/$name"
        done
        printf '%s\n' "$line"
    done <"$1"
}
