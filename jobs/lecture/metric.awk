# metric.awk: of the lines of a metrics.jsonl that tell of this event, the values of two
# keys: "X Y". y=grad_norms: of the first such line the norms in their order, "1 NORM",
# "2 NORM", ... Lines without both values are passed over.
# -v event=step -v x=epoch -v y=loss

function value(key, found)
{
    if (!match($0, "\"" key "\": *-?[0-9][-+0-9.e]*"))
        return ""
    found = substr($0, RSTART, RLENGTH)
    sub(/.*: */, "", found)
    return found
}

function print_norms(text, n, i, norms)
{
    if (!match($0, /"grad_norms": *\{[^}]*\}/))
        return 0
    text = substr($0, RSTART, RLENGTH)
    gsub(/^[^{]*\{|\}$/, "", text)
    n = split(text, norms, ",")
    for (i = 1; i <= n; i++) {
        sub(/.*: */, "", norms[i])
        print i, norms[i]
    }
    return n
}

$0 !~ "\"event\": *\"" event "\"" { next }
y == "grad_norms" {
    if (print_norms() > 0)
        exit
    next
}
value(x) != "" && value(y) != "" { print value(x), value(y) }
