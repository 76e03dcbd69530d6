# matrix.awk: a matrix of numbers, with commas or blanks between them, as an SVG: a square
# for each number, with the number in it.
# Settings, by -v:
#   title=TEXT           for readers that hear the page
#   low=0 high=255       the values that are black and white
#   signed=1             in place of that: orange below 0, white at 0, blue above, as strong
#                        as the largest; for kernels
#   window=ROW,COL,H,W   frames these
#   rows=A,N columns=A,N only N rows or columns, from number A (from 0)
#   numbers=0            squares without numbers
#   cell=40              side of a square

function clamp(value) { return value < 0 ? 0 : value > 1 ? 1 : value }

# "0.11", "-3", "12.5": no digits that say nothing.
function shown(value, word)
{
    word = sprintf("%.2f", value)
    sub(/\.?0+$/, "", word)
    return word == "-0" || word == "" ? "0" : word
}

function colour(value, share, white)
{
    if (!signed) {
        white = int(255 * clamp((value - low) / (high - low)) + 0.5)
        is_dark = white < 128
        return sprintf("rgb(%d,%d,%d)", white, white, white)
    }
    share = most > 0 ? value / most : 0
    is_dark = share > 0.6 || share < -0.6
    if (share >= 0)
        return sprintf("rgb(%d,%d,%d)", 255 - 255 * share, 255 - 141 * share, \
                       255 - 77 * share)
    return sprintf("rgb(%d,%d,%d)", 255 + 42 * share, 255 + 161 * share, 255 + 255 * share)
}

function put_cell(row, column, at_x, at_y)
{
    printf "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"%s\"/>\n", at_x, \
        at_y, cell, cell, colour(values[row, column])
    if (numbers)
        printf "<text x=\"%g\" y=\"%g\" fill=\"%s\">%s</text>\n", at_x + cell / 2, \
            at_y + 0.63 * cell, is_dark ? "#fff" : "#1b1f24", shown(values[row, column])
}

function put_window(part)
{
    if (split(window, part, ",") == 4)
        printf "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"none\" " \
            "stroke=\"#d55e00\" stroke-width=\"3\"/>\n", 2 + part[2] * cell, \
            2 + part[1] * cell, part[4] * cell, part[3] * cell
}

BEGIN {
    low += 0
    high = high == "" ? 255 : high + 0
    cell = cell == "" ? 40 : cell + 0
    numbers = numbers == "" ? 1 : numbers + 0
    height = 0
    n_row_parts = split(rows, row_part, ",")
    n_column_parts = split(columns, column_part, ",")
    gsub(/[ \t]+/, " ", title)
}

{
    gsub(/,/, " ")
    if (NF == 0)
        next
    at = n_seen++
    if (n_row_parts == 2 && (at < row_part[1] || at >= row_part[1] + row_part[2]))
        next
    first = n_column_parts == 2 ? column_part[1] + 1 : 1
    last = n_column_parts == 2 ? column_part[1] + column_part[2] : NF
    last = last > NF ? NF : last
    for (i = first; i <= last; i++) {
        values[height, i - first] = $i
        size = $i < 0 ? -$i : $i
        most = size > most ? size : most
    }
    width = last - first + 1
    height++
}

END {
    if (height == 0 || width == 0)
        exit 1
    across = width * cell + 4
    down = height * cell + 4
    printf "<svg class=\"matrix\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" " \
        "role=\"img\" font-size=\"%g\"><title>%s</title>\n", across, down, across, down, \
        0.4 * cell, title
    for (row = 0; row < height; row++)
        for (column = 0; column < width; column++)
            put_cell(row, column, 2 + column * cell, 2 + row * cell)
    printf "<rect x=\"1.5\" y=\"1.5\" width=\"%g\" height=\"%g\" fill=\"none\" " \
        "stroke=\"#888\"/>\n", width * cell + 1, height * cell + 1
    put_window()
    print "</svg>"
}
