#!/bin/sh
# One night: every scenario of lab.toml, and what changed since the last good night of each.
# Ends as `./lab run` ends; its arguments are handed on (nightly.sh -k legacy). What changed is told,
# and is no failure by itself: an image that lost its mask and still holds ends with 0.
# History is the results folder of this clone: keep it from night to night.
set -u
cd "$(dirname "$0")/../.." || exit 4
before=$(ls results 2>/dev/null)
./lab run "$@"
code=$?
for folder in results/2*; do
	case " $(echo "$before" | tr '\n' ' ') " in
	*" ${folder#results/} "*) continue ;;
	esac
	# The first night has nothing to be compared with, and says so.
	[ ! -e "$folder/verdict.json" ] || ./lab compare "$folder"
done
exit "$code"
