#!/usr/bin/env bash
# Resolves the workspace and writes one hash-checked requirement file for development and one for each image.
# uv.lock stays out of git because it names registry addresses; these files carry hashes and no address.
set -euo pipefail
cd "$(dirname "$0")/.."
uv lock --upgrade
export_pins() { uv export --frozen --quiet --no-emit-workspace --no-header --format requirements-txt --output-file "$@" >/dev/null; }
export_pins requirements/dev.txt --all-packages --all-extras --all-groups
for package in stt llm-gateway tts api; do
  export_pins "requirements/$package.txt" --package "chammal-$package" --no-dev
done
export_pins requirements/cli.txt --package chammal --no-dev
uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
  --constraint requirements/dev.txt --output-file requirements/build.txt - <<<hatchling
