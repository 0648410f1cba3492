#!/usr/bin/env python3
"""A worker that needs nothing but HTTP and Python's standard library.

    worker.py --node gpu-7 --type selfplay -- ./selfplay --threads 8

It claims items, runs the command for each with the item as JSON on standard
input, keeps the lease alive, and reports what the command printed as the result
when that is JSON. Replace run() to do the work in Python itself.

What every worker must get right, in whatever language:
  1. A call without an answer may have happened. Each carries an Idempotency-Key
     that derives from what it says, so that repeating it is harmless.
  2. Heartbeats go out every third of the lease, whatever the work is doing.
  3. "cancel": true, or a refusal with code stale_lease or not_found, means that
     the item is not ours any more: stop, and report nothing.
  4. Giving an item back (release) spends no attempt; failing it does.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone

TEMPORARY = 75  # exit code of a command that asks for another try later
TAIL = 4000  # characters of output that an error keeps


class Refused(Exception):
    """An answer that repeating the call will not change."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code


class Lost(Exception):
    """The item is not ours any more."""


class Cluster:
    """The nodes of a cluster; the next one is asked when one does not answer."""

    def __init__(self, addresses, token=None):
        self.addresses = [a if "://" in a else "http://" + a for a in addresses]
        self.token = token

    def post(self, path, body, key, give_up=lambda: False):
        """Calls until a node has answered for good. Raises Refused, or
        TimeoutError once give_up() says so."""
        wait = 0.2
        while True:
            try:
                return self.once(path, body, key)
            except (OSError, ValueError) as error:  # no answer, or not one of a node
                print(f"{path}: {error}", file=sys.stderr)
            if give_up():
                raise TimeoutError(path)
            self.addresses.append(self.addresses.pop(0))
            time.sleep(wait * random.uniform(0.5, 1))
            wait = min(2 * wait, 15)

    def once(self, path, body, key):
        request = urllib.request.Request(
            self.addresses[0].rstrip("/") + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
        )
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read() or b"{}")
            if problem.get("retryable") or error.code >= 500:
                raise OSError(problem.get("detail") or f"status {error.code}") from None
            raise Refused(problem.get("code", "invalid"), problem.get("detail", error.reason)) from None


class Attempt:
    """One item under one lease."""

    def __init__(self, cluster, node, item):
        self.cluster, self.node, self.item = cluster, node, item
        self.report = {"task_id": item["task_id"], "lease": item["lease"], "node_id": node}
        self.progress = None
        self.lost = threading.Event()  # not ours any more
        self.over = threading.Event()  # the work has ended
        self.remaining = 20.0

    def tell(self, verb, give_up=None, **more):
        key = f"py/{self.item['task_id']}/{self.item['lease']}/{verb}"
        path = "/work/" + verb.partition("/")[0]
        try:
            return self.cluster.post(path, {**self.report, **more}, key, give_up or (lambda: False))
        except Refused as error:
            if error.code in ("stale_lease", "not_found", "conflict"):
                raise Lost(str(error)) from None
            raise

    def beat(self):
        """Keeps the lease alive until the work is over."""
        beats = 0
        while not self.over.wait(self.remaining / 3 * random.uniform(0.75, 1)):
            more = {} if self.progress is None else {"progress": self.progress}
            try:
                answer = self.tell(f"heartbeat/{beats}", self.over.is_set, **more)
            except TimeoutError:
                return
            except (Lost, Refused):
                self.lost.set()
                return
            beats += 1
            self.extend(answer["deadline"])
            if answer["cancel"]:
                self.lost.set()
                return

    def extend(self, deadline):
        """Notes how long the lease lasts. A clock that is wrong by minutes must
        not stop heartbeats, so the time is kept between bounds."""
        end = datetime.strptime(deadline[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        self.remaining = min(max(end.timestamp() - time.time(), 0.3), 60)

    def work(self, command):
        try:
            self.extend(self.tell("start")["deadline"])
        except Lost as error:
            print(f"{self.item['task_id']}: {error}", file=sys.stderr)
            return
        beats = threading.Thread(target=self.beat, daemon=True)
        beats.start()
        try:
            verb, more = self.run(command)
        finally:
            self.over.set()
            beats.join()
        if self.lost.is_set():
            print(f"{self.item['task_id']}: not ours any more", file=sys.stderr)
            return
        try:
            self.tell(verb, **more)
            print(f"{self.item['task_id']}: {verb}", file=sys.stderr)
        except Refused as error:  # a result that no node takes fails the item for good
            self.tell("fail", error=f"the {verb} was refused: {error}", retryable=False)
        except Lost as error:
            print(f"{self.item['task_id']}: {error}", file=sys.stderr)

    def run(self, command):
        """Does the work; gives the verb of the report and what it carries."""
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what it starts can be ended with it
        )
        finished = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(process, finished), daemon=True)
        watcher.start()
        output, _ = process.communicate(json.dumps(self.item).encode())
        finished.set()
        watcher.join()
        text = output.decode("utf-8", "replace")
        if process.returncode == TEMPORARY or (stopping.is_set() and process.returncode != 0):
            return "release", {"reason": f"exit code {process.returncode}"}
        if process.returncode != 0:
            return "fail", {"error": f"exit code {process.returncode}\n{text[-TAIL:]}"}
        try:
            return "complete", {"result": json.loads(text)}
        except ValueError:
            return "complete", {"result": {"output": text[-TAIL:]}}

    def watch(self, process, finished):
        """Ends the command when its item is lost or the worker is to stop."""
        while not finished.wait(0.05):
            if self.lost.is_set() or stopping.is_set():
                for ending in (signal.SIGTERM, signal.SIGKILL):
                    try:
                        os.killpg(process.pid, ending)
                    except ProcessLookupError:
                        return
                    if finished.wait(10):
                        return


stopping = threading.Event()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--addr", default=os.environ.get("RIFT_ADDR", "http://127.0.0.1:8770"), help="nodes, with commas between")
    parser.add_argument("--token-file", default=os.environ.get("RIFT_TOKEN_FILE"))
    parser.add_argument("--node", default=os.uname().nodename)
    parser.add_argument("--type", action="append", default=[], help="task type to take; repeatable; none: any")
    parser.add_argument("--once", action="store_true", help="end when there is nothing to do")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    token = None
    if args.token_file:
        with open(args.token_file, encoding="utf-8") as file:
            token = file.read().split()[0]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    cluster = Cluster(args.addr.split(","), token)
    try:
        cluster.post("/nodes/register", {"node_id": args.node, "capabilities": args.type}, str(uuid.uuid4()), stopping.is_set)
        while not stopping.is_set():
            claim = {"node_id": args.node, "limit": 1}
            if args.type:
                claim["capabilities"] = args.type
            items = cluster.post("/work/claim", claim, str(uuid.uuid4()), stopping.is_set)["items"]
            for item in items:
                Attempt(cluster, args.node, item).work(args.command)
            if not items and args.once:
                return 0
            if not items:
                cluster.post("/nodes/heartbeat", {"node_id": args.node, "level": {"jobs": 0}}, str(uuid.uuid4()), stopping.is_set)
                stopping.wait(random.uniform(1, 3))
    except TimeoutError:
        pass
    except (Refused, Lost) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
