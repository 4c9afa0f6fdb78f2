#!/bin/sh
# Create the virtual environment FOLDER if it is not there yet:  scripts/venv.sh FOLDER
# Works with a bare Debian python3 + pip too, where "python3 -m venv" fails for want of python3-venv.
set -eu
folder=$1

[ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1 && exit 0

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; }
python=""
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if fits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed and none was found. Name one: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

echo "Creating $folder with $("$python" --version)"
if "$python" -m venv "$folder" >/dev/null 2>&1; then exit 0; fi
# Debian splits ensurepip off into python3-venv. The rest of venv is there, and its own pip can fill another environment.
rm -rf "$folder"
if "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip "$folder"; then
    "$python" -m pip --python "$folder/bin/python" install --quiet -c constraints.txt pip && exit 0
fi
rm -rf "$folder"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    exec "$python" -m venv "$folder"
fi
echo "A virtual environment could not be created. On Debian and Ubuntu this line helps:" >&2
echo "    sudo apt-get update && sudo apt-get install -y python3-venv" >&2
exit 1
