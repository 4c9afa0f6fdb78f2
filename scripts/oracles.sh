#!/bin/sh
# Golden numbers and validation by other people's tools, in environments of their own: their pins never touch ours.
#   .venv-oracles       the oldest bioimageio.spec we promise (needs pydantic < 2.14), surface-distance
#   .venv-oracles-new   the newest bioimageio.spec
# MEDCNN_ORACLE_MONAI=1 adds MONAI with a CPU build of torch (large).
# MEDCNN_ORACLE_SALIENCY=1 makes the golden saliency maps anew, with Captum and pytorch-grad-cam (torch) and
#   tf-keras-vis (TensorFlow), each in an environment of its own (large).
set -eu
cd "$(dirname "$0")/.."

install() {
    folder=$1
    shift
    PYTHON="${PYTHON:-}" scripts/venv.sh "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

install .venv-oracles "bioimageio.spec==0.5.12.0" "pydantic<2.14" "surface-distance==0.1" "numpy>=2" "scipy"
install .venv-oracles-new --upgrade bioimageio.spec
if [ "${MEDCNN_ORACLE_MONAI:-}" = 1 ]; then
    install .venv-oracles "torch==2.13.0" "monai==1.6.1"
fi

if [ "${MEDCNN_ORACLE_SALIENCY:-}" = 1 ]; then
    install .venv-oracles-torch "torch==2.15.0" "captum==0.9.0" "grad-cam==1.5.7" "numpy>=2"
    .venv-oracles-torch/bin/python scripts/golden_saliency.py torch
    install .venv-oracles-keras "tensorflow==2.21.0" "keras>=3.15" "tf-keras-vis==0.8.7"
    TF_CPP_MIN_LOG_LEVEL=3 .venv-oracles-keras/bin/python scripts/golden_saliency.py keras
fi

[ "${MEDCNN_PACKAGES_ONLY:-}" = 1 ] || .venv-oracles/bin/python scripts/golden_surface.py

status=0
.venv-oracles/bin/python scripts/validate_packages.py "$@" || status=1
.venv-oracles-new/bin/python scripts/validate_packages.py "$@" || status=1
exit $status
