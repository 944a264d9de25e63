"""Does what slate's plug-in does, but for one thing: `misbehaves.py MODE ADDRESS`."""
import json
import os
import sys
import time

mode = sys.argv.pop(1)
import slate_client  # reads the address

# Probes ask for the status alone and are answered as they should be.
hello = {"format": 1, "operations": ["read", "write", "cas", "status"]}
if mode == "fewer-operations":
    hello["operations"] = ["read", "write", "status"]
    print("nothing to add", file=sys.stderr, flush=True)
print(json.dumps(hello), flush=True)

asked = 0
for line in sys.stdin:
    request = json.loads(line)
    reply = {"id": request["id"]}
    if request["op"] == "status":
        print(json.dumps(reply | slate_client.perform(request)), flush=True)
        continue
    asked += 1
    is_time = asked % 7 == 0
    if mode == "lies" and is_time and request["op"] == "write":
        print(json.dumps(reply | {"ok": {}}), flush=True)
        continue
    reply |= slate_client.perform(request)
    if mode == "chatty":
        print("z" * 100_000, file=sys.stderr, flush=True)
    if is_time and mode == "dies":
        os._exit(3)
    if is_time and mode == "hangs":
        time.sleep(60)
    if is_time and mode == "no-json":
        print("done!", flush=True)
    elif is_time and mode == "wrong-id":
        print(json.dumps(reply | {"id": request["id"] + 1}), flush=True)
    elif is_time and mode == "wrong-type":
        print(json.dumps({"id": request["id"], "ok": {"value": [1], "swapped": "yes"} if request["op"] != "write" else "yes"}), flush=True)
    elif is_time and mode == "endless-line":
        while True:
            sys.stdout.write("x" * 65536)
    elif is_time and mode == "twice":
        print(f"{json.dumps(reply)}\n{json.dumps(reply)}", flush=True)
    else:
        print(json.dumps(reply), flush=True)
    if is_time and mode == "unasked":
        time.sleep(0.005)
        print(json.dumps({"id": 0, "ok": {}}), flush=True)
