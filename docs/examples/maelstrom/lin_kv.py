#!/usr/bin/env python3
"""A `lin-kv` for Maelstrom: the first node has the data, the others pass requests on and answers back.

With `--cache` a node answers reads itself of what it has passed on, which is not linearizable.
"""
import json
import sys

node, primary, data, cache = None, None, {}, {}


def send(dest, body):
    print(json.dumps({"src": node, "dest": dest, "body": body}), flush=True)


def perform(request):
    key, there = request["key"], data.get(request["key"])
    if request["type"] == "read":
        return {"type": "read_ok", "value": there} if key in data else {"type": "error", "code": 20, "text": "no such key"}
    if request["type"] == "cas":
        if key not in data:
            return {"type": "error", "code": 20, "text": "no such key"}
        if there != request["from"]:
            return {"type": "error", "code": 22, "text": f"{there} stands there"}
    data[key] = request["value"] if request["type"] == "write" else request["to"]
    return {"type": request["type"] + "_ok"}


for line in sys.stdin:
    message = json.loads(line)
    source, body = message["src"], message["body"]
    if body["type"] == "init":
        node, primary = body["node_id"], body["node_ids"][0]
        send(source, {"type": "init_ok", "in_reply_to": body["msg_id"]})
    elif body["type"] == "passed-on":
        send(source, {"type": "answered", "for": body["for"], "answer": perform(body["request"])})
    elif body["type"] == "answered":
        client, number = body["for"]
        send(client, {**body["answer"], "in_reply_to": number})
    elif node == primary:
        send(source, {**perform(body), "in_reply_to": body["msg_id"]})
    elif "--cache" in sys.argv and body["type"] == "read" and body["key"] in cache:
        send(source, {"type": "read_ok", "value": cache[body["key"]], "in_reply_to": body["msg_id"]})
    else:
        if body["type"] == "write":
            cache[body["key"]] = body["value"]
        send(primary, {"type": "passed-on", "for": [source, body["msg_id"]], "request": body})
