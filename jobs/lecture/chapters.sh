# shellcheck shell=bash
# chapters.sh: what each chapter of the lecture computes, in the lecture's order. Each is a
# function that runs convoy and makes pieces for the chapter's file of HTML.
# Set by lecture.sh: $convoy, $lecture, $mine (a picture of one's own, or nothing), $photo,
# $digits (the data set's name), $test_images, $clothes, $points and $samples (of
# landscapes), $cores, $STEPS, $RANKS.
# shellcheck disable=SC2154

# Pixels of image N of an IDX file, a row a line.
idx_image() {
    local side
    # Both stop reading before zcat is done.
    (
        set +o pipefail
        side=$(zcat -f "$1" | od -A n -v -t u1 -j 15 -N 1 | tr -d ' ')
        zcat -f "$1" | od -A n -v -t u1 -w"$side" -j $((16 + side * side * $2)) \
            -N $((side * side)) | sed -e 's/^ *//' -e 's/  */,/g'
    )
}

# A file of one number a line as points "NUMBER VALUE", every so many samples a unit.
points_of() {
    awk -F '[, \t]+' '$NF == $NF + 0 && NF > 0 { print n++, $NF }' "$1" >"$2"
}

# train CHAPTER RUN RECIPE ARGUMENT...: and how many seconds it took, in RUN.seconds.
train() {
    local begin=$EPOCHREALTIME
    echo "  training $2"
    run "$1" train "$3" --out "$2" --quiet "${@:4}" \
        ${STEPS:+--stop-after-steps "$STEPS" --set metrics.every_steps=1}
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.0f\n", b - a }' >"$2.seconds"
}

# top1 CHAPTER RUN PACK: "98.71 %", and the command is told.
top1() {
    local right
    ask "$1" "$2.eval" eval --quiet --weights "$2/checkpoints/latest.h5" --data "$3"
    right=$(sed -n 's/.*top-1 \([0-9.]* %\).*/\1/p' "pieces/$2.eval")
    [ -n "$right" ] || broken "reading the accuracy of $2"
    echo "$right"
}

# The number of trained values of a run.
parameters() {
    grouped "$(sed -n 's/.*"parameters": *\([0-9]*\).*/\1/p' "$1/run.json" | head -n 1)"
}

seconds() {
    local s
    s=$(cat "$1.seconds")
    if [ "$s" -lt 100 ]; then
        echo "$s s"
    else
        printf '%d min %02d s\n' $((s / 60)) $((s % 60))
    fi
}

# result CHAPTER TITLE RUN PACK: a row of the chapter's table. Each value is a command of
# its own, so that what fails ends the run.
result() {
    local count right time
    count=$(parameters "$3")
    right=$(top1 "$1" "$3" "$4")
    time=$(seconds "$3")
    table_row "$1.table" "$2" "$count" "$right" "$time"
}

# Sets $row and $column: 8 x 8 pixels of the photo from there on have something to show.
find_corner() {
    row=141 column=207
    local where='In the scene they are a corner of the left window.'
    if [ -n "$mine" ]; then
        row=$(awk 'NF > 0 { n++ } END { print int((n > 8 ? n - 8 : 0) / 2) }' red.csv)
        column=$(awk -F , 'NR == 1 { print int((NF > 8 ? NF - 8 : 0) / 2) }' red.csv)
        where='They are in the middle.'
    fi
    text numbers.where "Rows $row–$((row + 7)), columns $column–$((column + 7)). $where"
}

chapter_numbers() {
    local i name names=(red green blue) row column
    idx_image "$test_images" 0 >digit.csv
    run numbers convolve digit.csv --kernel identity --pad 1 -o digit.png
    picture numbers.image digit.png "The first test image" "pixels small"
    matrix numbers.digit digit.csv "The same: a number for each pixel" numbers cell=28
    picture numbers.photo "$photo" "A colour image"
    for i in 0 1 2; do
        name=${names[i]}
        run numbers convolve "$photo" --channel "$i" --kernel identity --pad 1 -o "$name.csv"
        run numbers convolve "$name.csv" --kernel identity --pad 1 -o "$name.png"
        picture numbers.channels "$name.png" "Its channel $i: $name"
    done
    find_corner
    for name in "${names[@]}"; do
        matrix numbers.corner "$name.csv" "$name" "" rows="$row,8" columns="$column,8" cell=36
    done
}

# three_changes TAPS: the answers to one change each, and to all three.
three_changes() {
    local name at
    for name in change-1 change-2 change-3 changes; do
        at=${name#change}
        awk -v only="${at#-}" 'BEGIN {
            value[25] = 0.8; value[40] = -0.5; value[75] = 0.6
            which[25] = 1; which[40] = 2; which[75] = 3
            for (i = 0; i < 110; i++)
                print (only == "s" || only == which[i]) ? value[i] + 0 : 0
        }' >"$name.csv"
        run signal convolve --signal "$name.csv" --with seismogram/wavelet.csv \
            --pad $((($1 - 1) / 2)) -o "$name-heard.csv"
        points_of "$name-heard.csv" "$name.points"
    done
}

chapter_signal() {
    local name taps
    ask signal signal.all convolve --demo seismogram -o seismogram
    sed '/^written/,$d' pieces/signal.all >pieces/signal.said # the rest is for its folder
    taps=$(wc -l <seismogram/wavelet.csv)
    run signal convolve --signal seismogram/reflectivity.csv \
        --with seismogram/wavelet.csv --pad $(((taps - 1) / 2)) -o again.csv
    for name in reflectivity wavelet seismogram learnt losses; do
        points_of "seismogram/$name.csv" "$name.points"
    done
    three_changes "$taps"
    chart signal.parts "Ricker wavelet: what is sent into the ground" "sample" \
        "amplitude" linear w=wavelet.points
    broad=0 chart signal.parts "Three changes: a wavelet from each, and their sum" "sample" \
        "amplitude" linear sum=changes.points first=change-1.points second=change-2.points \
        third=change-3.points
    stems=0 chart signal.parts "Reflectivity: a ground that changes often" "sample" \
        "reflectivity" linear r=reflectivity.points
    chart signal.parts "Its seismogram: reflectivity ∗ wavelet" "sample" "amplitude" linear \
        s=seismogram.points
    dots=1 chart signal.learnt "The wavelet, and what a convolution layer learnt" "sample" \
        "amplitude" linear "true wavelet=wavelet.points" "learnt=learnt.points"
    chart signal.learnt "The error while it learnt" "step" "mean squared error" log \
        e=losses.points
}

chapter_window() {
    cp "$lecture/layer.csv" "$lecture/kernel.txt" .
    printf '0,0,0\n0,1,0\n0,0,0\n' >impulse.csv
    ask window window.said convolve layer.csv --kernel kernel.txt --correlate \
        --explain 0,0 -o correlated.csv
    run window convolve layer.csv --kernel kernel.txt -o convolved.csv
    run window convolve impulse.csv --kernel kernel.txt --correlate --pad 1 -o turned.csv
    text window.first "$(sed -n '1s/,.*//p' correlated.csv)"
    matrix window.input layer.csv "The layer, 8 × 8" "" low=-3 high=10 window=0,0,3,3
    matrix window.kernel kernel.txt "The kernel, 3 × 3" "" signed=1
    matrix window.output correlated.csv "Correlation, 6 × 6: what layers compute" "" \
        signed=1 window=0,0,1,1
    matrix window.flipped layer.csv "The layer" "" low=-3 high=10 window=0,0,3,3
    matrix window.flipped turned.csv "The kernel, turned" "" signed=1
    matrix window.flipped convolved.csv "Convolution: what mathematics calls so" "" signed=1 \
        window=0,0,1,1
}

chapter_kernels() {
    local name drawn
    for name in identity edge1 edge2 edge3 sharpen box; do
        drawn=()
        [[ $name != edge* ]] || drawn=(--grey --scale)
        run kernels convolve "$photo" --kernel "$name" --pad 1 "${drawn[@]}" -o "$name.png"
        "$convoy" convolve impulse.csv --kernel "$name" --pad 1 -o "$name.kernel.csv" \
            >>log.txt 2>&1 || broken "convoy convolve impulse.csv --kernel $name"
        {
            echo '<div class="pair">'
            rm -f pieces/one
            picture one "$name.png" "$name"
            matrix one "$name.kernel.csv" "its kernel" "" signed=1 cell=48
            cat pieces/one
            echo '</div>'
        } >>pieces/kernels.table
    done
    note kernels convoy convolve impulse.csv --kernel sharpen --pad 1 -o sharpen.kernel.csv
}

# size_of FILE: "26 × 26" of a matrix, which is not broken into lines.
size_of() {
    awk -F , 'NF > 0 { rows++; columns = NF } END { print rows " × " columns }' "$1"
}

# sized NAME CAPTION SETTING ARGUMENT...: an output of the digit in a size true to the others.
sized() {
    ask sizes "sizes.$1.said" convolve digit.csv "${@:4}" -o "size-$1.csv"
    matrix sizes.outputs "size-$1.csv" "$2: $(size_of "size-$1.csv")" "" numbers=0 cell=7 \
        "$3"
}

chapter_sizes() {
    local said
    matrix sizes.outputs digit.csv "The image: $(size_of digit.csv)" "" numbers=0 cell=7
    sized plain "3 × 3 kernel, nothing else" signed=1 --kernel edge3
    sized pad "with padding 1" signed=1 --kernel edge3 --pad 1
    sized stride "with stride 2" signed=1 --kernel edge3 --stride 2
    sized dilation "with dilation 2" signed=1 --kernel edge3 --dilation 2
    sized max "max pooling, window 2" low=0 --pool max --window 2
    sized average "average pooling, window 2" low=0 --pool average --window 2
    for said in plain pad stride dilation max average; do
        cat "pieces/sizes.$said.said"
    done >pieces/sizes.said
    run sizes convolve layer.csv --pool max --window 2 -o pooled-max.csv
    run sizes convolve layer.csv --pool average --window 2 -o pooled-average.csv
    matrix sizes.pooled layer.csv "The layer, 8 × 8" "" low=-3 high=10 window=0,0,2,2
    matrix sizes.pooled pooled-max.csv "The largest of each four" "" low=-3 high=10 \
        window=0,0,1,1
    matrix sizes.pooled pooled-average.csv "The mean of each four" "" low=-3 high=10 \
        window=0,0,1,1
}

chapter_counts() {
    ask counts counts.lenet info lenet --compare conv1
    ask counts counts.alexnet info alexnet2012 --compare conv1
}

chapter_digits() {
    local name title
    run digits show samples packs/digits-train.h5 --n 42 -o samples.png
    picture digits.samples samples.png "42 training images of $digits" pixels
    for name in mlp lenet; do
        title=LeNet
        [ "$name" = lenet ] || title=MLP
        train digits "digits-$name" "digits-$name.yaml"
        result digits "$title" "digits-$name" packs/digits-test.h5
        metric "digits-$name" step epoch loss >"digits-$name.points"
    done
    text digits.weights "$("$convoy" info mlp |
        sed -n 's/.* \([0-9,]*\) of them weights.*/\1/p')"
    chart digits.curves "Loss on training images" "epochs" "loss" log \
        "MLP=digits-mlp.points" "LeNet=digits-lenet.points"
    note digits convoy report digits-mlp digits-lenet
}

chapter_alexnet() {
    ask alexnet alexnet.said info alexnet2012
    note alexnet convoy info vgg16
    note alexnet convoy info resnet50
    note alexnet convoy info densenet121
    "$convoy" info --json alexnet2012 | tr '{' '\n' |
        awk -f "$lecture/shapes.awk" >drawn.svg || broken "drawing AlexNet"
    figure_of alexnet.shapes wide "AlexNet: each box is a layer's output" <drawn.svg
}

# see WHAT ARGUMENT...: convoy show WHAT of the trained LeNet, and its figures, without those
# that the chapter has already.
see() {
    run seen show "$1" --weights digits-lenet/checkpoints/latest.h5 "${@:2}" -o "$1" \
        --html "$1.html"
    lift "seen.$1" "$1.html" "$leave"
}

chapter_seen() {
    local leave='^$'
    ask seen seen.predict predict --weights digits-lenet/checkpoints/latest.h5 digit.png
    picture seen.image digit.png "The image" pixels
    see kernels --layer conv1
    leave='as the net sees it|^<p>The net takes it'
    see activations digit.png --layer act1 --layer pool1 --layer act2
    see cam digit.png
    see saliency digit.png
    see occlusion digit.png
    leave='Rows: the true class'
    see confusion --data packs/digits-test.h5 --n 12
}

chapter_transfer() {
    local few=packs/clothes-5-9-few.h5 right
    run transfer pack "$clothes/train-images-idx3-ubyte.gz" -o packs/clothes-0-4-train.h5 \
        --classes 0-4
    run transfer pack "$clothes/t10k-images-idx3-ubyte.gz" -o packs/clothes-0-4-test.h5 \
        --classes 0-4
    run transfer pack "$clothes/train-images-idx3-ubyte.gz" -o "$few" --classes 5-9 \
        --max-per-class 4
    run transfer pack "$clothes/t10k-images-idx3-ubyte.gz" -o packs/clothes-5-9-test.h5 \
        --classes 5-9
    run transfer show samples "$few" --n 20 -o few.png
    picture transfer.samples few.png \
        "All that is to be learnt from: four images of each class" pixels
    train transfer transfer-base transfer-base.yaml \
        --set data.train=packs/clothes-0-4-train.h5 --set data.val=packs/clothes-0-4-test.h5
    train transfer transfer-scratch transfer-scratch.yaml --set "data.train=$few"
    train transfer transfer-few transfer-few.yaml --set "data.train=$few" \
        --set init.weights=transfer-base/checkpoints/latest.h5
    right=$(top1 transfer transfer-scratch packs/clothes-5-9-test.h5)
    table_row transfer.table "from random weights" "$right"
    right=$(top1 transfer transfer-few packs/clothes-5-9-test.h5)
    table_row transfer.table "from weights of the other classes" "$right"
}

# norms RECIPE RUN ARGUMENT...: a step, and the norms of its gradients by layer.
norms() {
    run depth train "$1" --out "$2" --quiet --stop-after-steps 1 "${@:3}"
    metric "$2" step step grad_norms >"$2.points"
}

chapter_depth() {
    local n name
    for n in 4 8 16; do
        sed "s/repeat: 16/repeat: $n/" "$lecture/chain.yaml" >"chain-$n.yaml"
        norms "chain-$n.yaml" "chain-$n"
    done
    norms shortcuts.yaml shortcuts
    chart depth.vanishing "A step's gradients, layer by layer" \
        "layer, 1 is next to the image" "norm of the gradient" log \
        "chain of 4=chain-4.points" "of 8=chain-8.points" "of 16=chain-16.points" \
        "16 with shortcuts=shortcuts.points"
    text depth.ratio "$(ratio chain-16.points)"
    text depth.shortcuts "$(ratio shortcuts.points)"
    for name in plain56 resnet56; do
        norms clothes-depth.yaml "$name-start" --set "model.name=$name" \
            --set metrics.every_steps=1
        text "depth.$name" "$(spread "$name-start.points")"
        train depth "$name" clothes-depth.yaml --set "model.name=$name"
        metric "$name" step epoch loss >"$name.points"
        result depth "$name" "$name" packs/clothes-test.h5
    done
    chart depth.curves "Loss on training images, 56 layers" "epochs" "loss" linear \
        "plain56=plain56.points" "resnet56=resnet56.points"
    chart depth.norms "The first step's gradients, 56 layers" \
        "layer, 1 is next to the image" "norm of the gradient" log \
        "plain56=plain56-start.points" "resnet56=resnet56-start.points"
    landscapes
}

# two_digits NUMBER: "84,000" of 83712.
two_digits() {
    grouped "$(awk -v x="$1" 'BEGIN { printf "%.0f", sprintf("%.1e", x) }')"
}

# ratio FILE: the last layer's gradient against the first's.
ratio() {
    two_digits "$(awk 'NR == 1 { first = $2 } { last = $2 }
        END { print (first > 0 ? last / first : 0) }' "$1")"
}

# spread FILE: the largest against the smallest.
spread() {
    two_digits "$(awk '{ low = NR == 1 || $2 < low ? $2 : low; high = $2 > high ? $2 : high }
        END { print (low > 0 ? high / low : 0) }' "$1")"
}

# json_number KEY: of said.txt.
json_number() {
    sed -n 's/.*"'"$1"'": *\([-0-9.e+]*\).*/\1/p' said.txt
}

# around NAME WORD...: "loss 0.41 in the middle, up to 7.3", of the landscape that this
# command made; it is given again, and finds all points there.
around() {
    local middle most
    "$convoy" "${@:2}" --json --quiet >said.txt 2>>log.txt || broken "convoy ${*:2} --json"
    if grep -q '"\(centre\|most\)_loss": *null' said.txt; then
        echo "some losses are no finite numbers"
        return
    fi
    middle=$(json_number centre_loss)
    most=$(json_number most_loss)
    if [ -z "$middle" ] || [ -z "$most" ]; then
        broken "reading the landscape of $1"
    fi
    awk -v middle="$middle" -v most="$most" '
        function shown(loss) {
            return sprintf(loss < 100 ? "%.2f" : loss < 1e6 ? "%d" : "%.1e", loss)
        }
        BEGIN {
            print "loss " shown(middle) " in the middle, up to " shown(most)
        }'
}

landscapes() {
    local name words range top=(--top 10) end="a loss of 10"
    if [ -n "${STEPS:-}" ]; then # nets that have learnt nothing lie higher
        top=() end="10,000 times the lowest loss"
    fi
    text depth.top "Drawings end at $end: what is higher is cut off."
    for name in plain56 resnet56; do
        echo "  the landscape of $name"
        words=(landscape --weights "$name/checkpoints/latest.h5" --data
            packs/clothes-train.h5 --points "$points" --samples "$samples" --range -0.7:0.7
            "${top[@]}" -o "landscape-$name")
        run_on depth "$RANKS" "${words[@]}"
        range=$(around "$name" "${words[@]}")
        if [ -e "landscape-$name/contours.svg" ]; then
            drawing depth.landscapes "landscape-$name/contours.svg" \
                "$name, lines of equal loss: $range"
            drawing depth.landscapes "landscape-$name/surface.svg" \
                "$name, the same as a surface"
        fi
    done
    [ -s pieces/depth.landscapes ] ||
        echo '<p class="notice">The landscapes are not drawn here, since gnuplot was not' \
            'found (Debian package gnuplot-nox); their numbers are in surface.h5.</p>' \
            >pieces/depth.landscapes
}

chapter_dense() {
    idx_image "$clothes/t10k-images-idx3-ubyte.gz" 0 >boot.csv
    run dense convolve boot.csv --kernel identity --pad 1 -o boot.png
    escape <"$lecture/clothes-densenet.yaml" | sed -n '/^network/,/concat/p' \
        >pieces/dense.recipe
    train dense densenet clothes-densenet.yaml
    run dense show activations --weights densenet/checkpoints/latest.h5 boot.png \
        --layer conv --layer dense1.3.new --layer dense3.3.new -o dense-activations \
        --html dense.html
    lift dense.activations dense.html
    cat pieces/depth.table >pieces/dense.table
    result dense DenseNet densenet packs/clothes-test.h5
}

chapter_ranks() {
    local n options
    for n in 1 2 4; do
        options=()
        [ "$n" -le "$cores" ] || options=(--oversubscribe)
        run_on ranks "$n" train digits-lenet.yaml --out "ranks-$n" --quiet \
            --stop-after-steps "${STEPS:-30}" "${options[@]}"
        ask ranks ranks.hash weights hash "ranks-$n/checkpoints/latest.h5"
        cut -d ' ' -f 1 pieces/ranks.hash >>hashes.txt
        table_row ranks.table "$n" "$(tail -n 1 hashes.txt)"
    done
    text ranks.verdict "$(if [ "$(sort -u hashes.txt | wc -l)" = 1 ]; then
        echo "The three hashes are the same: every bit of every weight is."
    else
        echo "The hashes differ, which convoy promises will not happen: please report it."
    fi)"
}
