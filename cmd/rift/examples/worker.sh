#!/bin/sh
# A worker that needs nothing but a POSIX shell and curl.
#
#   RIFT_ADDR=http://127.0.0.1:8770 worker.sh ./selfplay --threads 8
#
# It claims an item, runs the command with the item as JSON on standard input,
# keeps the lease alive, and reports. What the command prints is the result, and
# must be JSON or nothing. RIFT_NODE names the node, RIFT_TYPE the task type to
# take, RIFT_TOKEN_FILE the token; with RIFT_ONCE=1 it ends when there is nothing to do.
#
# Every call carries an Idempotency-Key that derives from what it says: repeating
# one whose answer was lost is harmless. It takes one item at a time and ends
# only the command itself, not what the command started: `rift worker` does more.

set -u
addr=${RIFT_ADDR:-http://127.0.0.1:8770}
node=${RIFT_NODE:-$(uname -n)}
pid='' item='' stop=''
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
# In a file, because what stands on a command line is seen by everybody.
[ -n "${RIFT_TOKEN_FILE:-}" ] && sed -n '1s/^\([^ ]*\).*/Authorization: Bearer \1/p' "$RIFT_TOKEN_FILE" >"$folder/token"
# The command hears the end as well. A signal that reaches it between its fork
# and its exec is lost, so beat repeats it.
trap 'stop=1; : >"$folder/stop"; [ -n "$pid" ] && kill "$pid"' TERM INT

# call PATH KEY BODY: the answer's body in $folder/answer. Fails with 1 for a
# refusal, and calls again for as long as there is no answer.
call() {
	printf '%s' "$3" >"$folder/body.$1"
	wait=1
	while :; do
		set -- "$1" "$2" "$3" "$folder/answer.$1"
		status=$(curl -s -o "$4" -w '%{http_code}' --max-time 10 \
			${RIFT_TOKEN_FILE:+-H "@$folder/token"} \
			-H 'Content-Type: application/json' -H "Idempotency-Key: $2" \
			--data-binary "@$folder/body.$1" "$addr/$(echo "$1" | tr . /)")
		case $status in
		200) return 0 ;;
		000 | 429 | 421 | 5??) ;; # it may pass
		*)
			echo "$1: $(cat "$4")" >&2
			return 1
			;;
		esac
		[ -n "$stop" ] && [ "$1" = work.claim ] && return 1
		echo "$1: no answer ($status); again in $wait s" >&2
		sleep "$wait"
		wait=$((wait < 15 ? wait * 2 : 15))
	done
}

# quoted: standard input as a JSON string.
quoted() {
	printf '"'
	LC_ALL=C tr -c '\12\40-\176' '?' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk '{ printf "%s\\n", $0 }'
	printf '"'
}

# beat: keeps the lease alive, and ends the command ($1) when the item is not ours any more.
beat() {
	beats=0
	pause=''
	trap '[ -n "$pause" ] && kill "$pause"; exit' TERM
	: >"$folder/beating"
	while :; do
		sleep "${RIFT_BEAT:-15}" &
		pause=$!
		wait "$pause"
		[ -e "$folder/stop" ] && kill "$1"
		beats=$((beats + 1))
		if ! call work.heartbeat "$key/heartbeat/$beats" "$report}" || grep -q '"cancel":true' "$folder/answer.work.heartbeat"; then
			: >"$folder/lost"
			kill "$1"
			return
		fi
	done
}

claims=0
while [ -z "$stop" ]; do
	claims=$((claims + 1))
	call work.claim "sh/$node/$$/$(date +%s)/$claims" "{\"node_id\":\"$node\",\"limit\":1${RIFT_TYPE:+,\"capabilities\":[\"$RIFT_TYPE\"]}}" || break
	# The first item begins at the first of these words, which no payload can
	# come before; names of items hold no quotes.
	rest=$(sed -e 's/"items":\[{"task_id":"/\
/' "$folder/answer.work.claim" | sed -n 2p)
	if [ -z "$rest" ]; then
		[ -n "${RIFT_ONCE:-}" ] && exit 0
		sleep 2
		continue
	fi
	task=${rest%%\"*}
	lease=$(printf '%s' "$rest" | sed -e 's/^[^"]*","lease":\([0-9]*\).*/\1/')
	item="{\"task_id\":\"${rest%]\}}" # the list of one item ends the answer
	key="sh/$task/$lease"
	report="{\"task_id\":\"$task\",\"lease\":$lease,\"node_id\":\"$node\""
	call work.start "$key/start" "$report}" || continue

	rm -f "$folder/lost" "$folder/beating"
	printf '%s\n' "$item" >"$folder/item"
	RIFT_TASK_ID=$task RIFT_LEASE=$lease "$@" <"$folder/item" >"$folder/out" 2>"$folder/err" &
	pid=$!
	[ -n "$stop" ] && kill "$pid" # it came before there was anything to end
	beat "$pid" &
	beating=$!
	wait "$pid"
	code=$?
	if [ -n "$stop" ]; then # the wait was broken off by the signal
		wait "$pid"
	fi
	pid=''
	until [ -e "$folder/beating" ]; do :; done # it can be told to end from there on
	kill "$beating" 2>/dev/null
	wait "$beating" 2>/dev/null

	if [ -e "$folder/lost" ]; then
		echo "$task: not ours any more" >&2
	elif [ -n "$stop" ] || [ "$code" -eq 75 ]; then
		call work.release "$key/release" "$report,\"reason\":\"exit code $code\"}"
	elif [ "$code" -ne 0 ]; then
		error=$({ echo "exit code $code"; tail -c 2000 "$folder/err"; } | quoted)
		call work.fail "$key/fail" "$report,\"error\":$error}"
	else
		result=$(cat "$folder/out")
		call work.complete "$key/complete" "$report${result:+,\"result\":$result}}" ||
			call work.fail "$key/fail" "$report,\"error\":\"the result was refused\",\"retryable\":false}"
	fi
	echo "$task: exit code $code" >&2
done
