#!/usr/bin/env bash
# Builds the base image and deploys both functions to the Nuclio beside CVAT, with the nuctl calls
# of CVAT's own serverless/deploy_cpu.sh and deploy_gpu.sh.
#
#   deploy/deploy.sh [--gpu] [--dry-run] [tracker|detector ...]
#
# Needs docker, and a nuctl of the dashboard's version. PLATFORM=kube deploys to Kubernetes, for
# which the base image must be in a registry that the cluster reads.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"
platform="${PLATFORM:-local}"
device=cpu
file=function.yaml
dry=no
functions=()

usage() {
  sed -n '5p' "${BASH_SOURCE[0]}" | sed 's/^# *//' >&2
  exit 2
}

for argument in "$@"; do
  case "$argument" in
    --gpu) device=gpu file=function-gpu.yaml ;;
    --dry-run) dry=yes ;;
    tracker | detector) functions+=("$argument") ;;
    *) echo "Expected --gpu, --dry-run, tracker or detector, got '$argument'." >&2; usage ;;
  esac
done
[ "${#functions[@]}" -gt 0 ] || functions=(tracker detector)

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml")"
[ -n "$version" ] || { echo "Expected a version in $root/pyproject.toml, got none." >&2; exit 1; }

run() {
  if [ "$dry" = yes ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

if [ "$dry" = no ]; then
  for tool in docker nuctl; do
    command -v "$tool" >/dev/null || { echo "Expected '$tool' on the PATH, got none." >&2; exit 1; }
  done
fi

run docker build --file "$here/Dockerfile.$device" --tag "impose-cvat:$version-$device" "$root"

# fails where the project exists, as it does in CVAT's scripts; that is no reason to stop
run nuctl create project cvat --platform "$platform" || true

for function in "${functions[@]}"; do
  arguments=(--project-name cvat --path "$here/$function" --file "$here/$function/$file"
    --platform "$platform")
  # CVAT's compose file names its network; the functions must be in it to be reached
  if [ "$platform" = local ]; then
    arguments+=(--platform-config '{"attributes": {"network": "cvat_cvat"}}')
  fi
  run nuctl deploy "${arguments[@]}"
done

run nuctl get function --platform "$platform"
