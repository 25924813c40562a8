#!/bin/sh
# Makes .venv from the pinned, hashed requirements with nothing but Python 3.11+ and pip.
# Does nothing when the stamp shows that the venv was made from these very files.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
want=$(cat requirements/run.txt requirements/dev.txt pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$want" ]; then
    exit 0
fi
"$python" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed.")'
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements/run.txt -r requirements/dev.txt
# The two packages themselves: a path file instead of an editable install needs no build backend.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd > "$site/wicket.pth"
for name in wicketd:wicketd.cli wicket:wicket_tui.cli; do
    command=${name%%:*}
    module=${name#*:}
    printf '#!%s\nimport sys\n\nfrom %s import main\n\nsys.exit(main())\n' \
        "$(pwd)/.venv/bin/python" "$module" > ".venv/bin/$command"
    chmod 755 ".venv/bin/$command"
done
echo "$want" > .venv/stamp
