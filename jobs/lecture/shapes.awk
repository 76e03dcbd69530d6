# shapes.awk: a net's layers as boxes, from convoy info --json MODEL with a line for each
# layer. A box is as high as the maps and as wide as there are many channels, both by
# their square root, so that 224 x 224 x 3 and 6 x 6 x 256 fit on one page. Only layers
# that change the shape are drawn.

function field(key, found)
{
    if (!match($0, "\"" key "\": *\"[^\"]*\""))
        return ""
    found = substr($0, RSTART, RLENGTH)
    gsub(/.*: *"|"$/, "", found)
    return found
}

# Fills side and channels from "output": [c, h, w] or [n].
function read_shape(found, part, n)
{
    if (!match($0, /"(output|input)": *\[[^]]*\]/))
        return 0
    found = substr($0, RSTART, RLENGTH)
    gsub(/.*\[|\]/, "", found)
    n = split(found, part, ",")
    channels = part[1] + 0
    side = n == 3 ? part[2] + 0 : 1
    return 1
}

function put(name)
{
    if (n > 0 && sides[n] == side && counts[n] == channels)
        return
    n++
    sides[n] = side
    counts[n] = channels
    names[n] = name
}

$0 ~ /"input"/ && read_shape() { put("image") }
$0 ~ /"output"/ && field("kind") != "" && read_shape() { put(field("kind")) }

function put_label(x, line, word, fill)
{
    printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"%s\">%s</text>\n", \
        x, 212 + 16 * line, fill, word
}

function put_box(i, x, wide, high, is_map)
{
    is_map = sides[i] > 1
    wide = 6 + sqrt(counts[i]) * 0.9
    high = is_map ? sqrt(sides[i]) * 12 : 8
    x = at + slot(i) / 2
    printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" " \
        "rx=\"2\"/>\n", x - wide / 2, 100 - high / 2, wide, high, \
        names[i] in colour ? colour[names[i]] : "#cc79a7"
    put_label(x, 0, names[i] in short ? short[names[i]] : names[i], "#1b1f24")
    put_label(x, 1, counts[i] (is_map ? " maps" : " values"), "#57606a")
    if (is_map)
        put_label(x, 2, sides[i] " × " sides[i], "#57606a")
}

# A label takes 84 units.
function slot(i, wide)
{
    wide = 6 + sqrt(counts[i]) * 0.9
    return (wide > 84 ? wide : 84) + 6
}

BEGIN {
    colour["image"] = "#666666"
    colour["conv"] = "#0072b2"
    colour["max_pool"] = colour["avg_pool"] = colour["adaptive_avg_pool"] = "#e69f00"
    colour["inner_product"] = "#009e73"
    short["inner_product"] = "full"
    short["max_pool"] = "pool"
    short["avg_pool"] = short["adaptive_avg_pool"] = "pool"
}

END {
    if (n < 2)
        exit 1
    for (i = 1; i <= n; i++)
        room += slot(i)
    printf "<svg class=\"shapes\" viewBox=\"0 0 %d 256\" role=\"img\" font-size=\"13\">" \
        "<title>Shapes, from the image to the classes</title>\n", room
    for (i = 1; i <= n; i++) {
        put_box(i)
        at += slot(i)
    }
    print "</svg>"
}
