#!/bin/sh
# install.sh PYTHON FOLDER WHAT...: makes a virtual environment and installs into it, and says what it is doing.
# pip installs uv, and uv installs the rest in a fraction of pip's time. Where uv can't be had, or does not find a package where
# pip does (pip reads more settings of package indexes), pip installs all of it.
set -eu
python=$1 folder=$2
shift 2
echo "creating the virtual environment $folder with $("$python" --version)"
"$python" -m venv "$folder"
pip="$folder/bin/python -m pip --disable-pip-version-check"
echo "installing uv"
if $pip install -qq uv; then
    index=$($pip config get global.index-url 2>/dev/null || true)
    echo "installing with uv: $*"
    if "$folder/bin/uv" pip install --python "$folder/bin/python" ${index:+--default-index "$index"} "$@"; then exit 0; fi
fi
echo "uv did not install them; installing with pip, which takes longer"
exec "$folder/bin/python" -m pip --disable-pip-version-check install "$@"
