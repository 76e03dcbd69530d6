# chart.awk: curves as an SVG of the reports' size and letters: 480 units wide, letters of
# 15, which are 12 pixels where a phone shows 370. Reads lines "SERIES X Y"; series are
# numbers from 0, which are their colours too. Settings, by -v: title, x_label, y_label,
# and scale=log for powers of ten on the y axis, where values of 0 and less are left out.
# dots=N draws series N as dots, and the others as a broad line, to lie below it; stems=N
# draws series N as a line from 0 to each value; broad=N draws it as a broad line.

# A step of 1, 2 or 5 times a power of ten with which a length has at most most.
function nice_step(length_, most, power, ratio)
{
    power = 10 ^ floor(log(length_ / most) / log(10))
    ratio = length_ / most / power
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10)
}

function floor(value) { return value < int(value) ? int(value) - 1 : int(value) }
function ceiling(value) { return -floor(-value) }

# With as many decimals as the step has.
function mark(value, step, decimals)
{
    decimals = ceiling(-log(step) / log(10) - 1e-9)
    decimals = decimals < 0 ? 0 : decimals
    return sprintf("%.*f", decimals, value == 0 ? 0 : value)
}

# "10" with a superscript.
function power_mark(exponent, word, out, i)
{
    word = exponent < 0 ? -exponent "" : exponent ""
    out = exponent < 0 ? "\342\201\273" : ""
    for (i = 1; i <= length(word); i++)
        out = out superscript[substr(word, i, 1) + 1]
    return "10" out
}

function to_x(value) { return left + (value - x_low) / (x_high - x_low) * (right - left) }
function to_y(value) { return bottom - (value - y_low) / (y_high - y_low) * (bottom - top) }

function put_text(x, y, anchor, word)
{
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, word
}

function put_y_axis(step, value, word)
{
    step = is_log ? ceiling((y_high - y_low) / 6) : nice_step(y_high - y_low, 6)
    for (value = step * ceiling(y_low / step - 1e-9); value <= y_high + 1e-9 * step; \
         value += step) {
        word = is_log ? power_mark(floor(value + 0.5)) : mark(value, step)
        printf "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", left, to_y(value), right
        put_text(left - 6, to_y(value) + 5, "end", word)
    }
    printf "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">" \
        "%s</text>\n", (top + bottom) / 2, y_label
}

function put_x_axis(step, value)
{
    step = nice_step(x_high - x_low, 6)
    for (value = step * ceiling(x_low / step - 1e-9); value <= x_high + 1e-9 * step; \
         value += step) {
        printf "<path d=\"M%.1f %.1fv5\" stroke=\"#888\"/>\n", to_x(value), bottom
        put_text(to_x(value), bottom + 20, "middle", mark(value, step))
    }
    put_text((left + right) / 2, height - 6, "middle", x_label)
    printf "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#888\"/>\n", left, top, \
        bottom, right
}

function put_stems(number, i)
{
    for (i = 1; i <= n_points; i++)
        if (series[i] == number && y[i] != 0)
            printf "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\"/>\n", to_x(x[i]), to_y(0), \
                to_y(y[i]), colour[number % 8 + 1]
}

function put_curve(number, i, points, n)
{
    if (stems != "" && stems == number) {
        put_stems(number)
        return
    }
    for (i = 1; i <= n_points; i++)
        if (series[i] == number) {
            points = points sprintf("%s%.1f,%.1f", n++ ? " " : "", to_x(x[i]), to_y(y[i]))
        }
    if (dots == "" || dots != number)
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%d\" " \
            "stroke-linejoin=\"round\"/>\n", points, colour[number % 8 + 1], \
            dots != "" ? 5 : broad != "" && broad == number ? 7 : 2
    for (i = 1; i <= n_points && n <= 70 && (dots == "" || dots == number); i++)
        if (series[i] == number)
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", to_x(x[i]), \
                to_y(y[i]), colour[number % 8 + 1]
}

# Where all values are one, and so that curves do not lie on the frame.
function widen(step)
{
    if (x_high == x_low) {
        x_low -= 0.5
        x_high += 0.5
    }
    if (is_log) {
        y_low = floor(y_low)
        y_high = y_high > ceiling(y_low) ? ceiling(y_high) : y_low + 1
        return
    }
    if (y_high == y_low) {
        y_low -= 0.5
        y_high += 0.5
    }
    step = nice_step(y_high - y_low, 6)
    y_low = step * floor(y_low / step + 1e-9)
    y_high = step * ceiling(y_high / step - 1e-9)
}

BEGIN {
    width = 480
    height = 300
    left = 66
    right = 460
    top = 12
    bottom = 246
    is_log = scale == "log"
    split("#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #666666 #000000", colour, " ")
    split("\342\201\260 \302\271 \302\262 \302\263 \342\201\264 \342\201\265 " \
          "\342\201\266 \342\201\267 \342\201\270 \342\201\271", superscript, " ")
}

NF == 3 && $2 == $2 + 0 && $3 == $3 + 0 && !(is_log && $3 <= 0) {
    n_points++
    series[n_points] = $1
    x[n_points] = $2
    y[n_points] = is_log ? log($3) / log(10) : $3
    n_series = $1 >= n_series ? $1 + 1 : n_series
    x_low = n_points == 1 || x[n_points] < x_low ? x[n_points] : x_low
    x_high = n_points == 1 || x[n_points] > x_high ? x[n_points] : x_high
    y_low = n_points == 1 || y[n_points] < y_low ? y[n_points] : y_low
    y_high = n_points == 1 || y[n_points] > y_high ? y[n_points] : y_high
}

END {
    if (n_points == 0)
        exit 1
    widen()
    printf "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" font-size=\"15\" " \
        "fill=\"#222\"><title>%s</title>\n", width, height, title
    put_y_axis()
    put_x_axis()
    for (number = 0; number < n_series; number++)
        put_curve(number)
    print "</svg>"
}
