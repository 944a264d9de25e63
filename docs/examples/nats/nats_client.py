"""Speaks for a client of Partita to NATS JetStream: `nats_client.py NODE IP:PORT REPLICAS`.

Keys are subjects of a stream that keeps the last message of each, as a key/value bucket does.
"""
import base64
import json
import os
import socket
import sys

NODE, ADDRESS, REPLICAS = sys.argv[1], sys.argv[2].rsplit(":", 1), int(sys.argv[3])
STREAM = {"name": "KV_p", "subjects": ["$KV.p.>"], "storage": "file", "num_replicas": REPLICAS, "max_msgs_per_subject": 1}
WRONG_SEQUENCE = (10071, 10164)  # of 2.9, of 2.14


class Refused(Exception):
    """Nobody has taken the request, and nobody will."""


class Connection:
    def __init__(self, seconds):
        try:
            self.socket = socket.create_connection(ADDRESS, seconds)
        except OSError as error:
            raise Refused(f"not connected: {error}")
        self.file, self.inbox, self.number = self.socket.makefile("rb"), f"_INBOX.{os.urandom(8).hex()}", 0
        options = json.dumps({"verbose": False, "headers": True, "no_responders": True, "lang": "python", "version": "1"})
        self.socket.sendall(f"CONNECT {options}\r\nSUB {self.inbox}.* 1\r\n".encode())

    def request(self, subject, payload=b"", header=""):
        """The answer to a message. Whatever goes wrong but for `Refused`, it may have been taken."""
        self.number += 1
        reply = f"{self.inbox}.{self.number}"
        head = f"NATS/1.0\r\n{header}\r\n\r\n".encode() if header else b""
        command = f"HPUB {subject} {reply} {len(head)}" if header else f"PUB {subject} {reply}"
        self.socket.sendall(f"{command} {len(head) + len(payload)}\r\n".encode() + head + payload + b"\r\n")
        while words := self.file.readline().split():
            if words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif words[0] in (b"MSG", b"HMSG"):
                body = self.file.read(int(words[-1]) + 2)[:-2]
                if words[0] == b"HMSG" and body.startswith(b"NATS/1.0 503"):
                    raise Refused("no responders")
                if words[1].decode() == reply:
                    return json.loads(body[int(words[-2]) if words[0] == b"HMSG" else 0:])
        raise OSError("the connection was closed")

    def last(self, key):
        """The value of a key and the number of its message."""
        answer = self.request("$JS.API.STREAM.MSG.GET.KV_p", json.dumps({"last_by_subj": f"$KV.p.{key}"}).encode())
        if answer.get("error", {}).get("code") == 404:
            return None, 0
        message = answer["message"]
        return base64.b64decode(message["data"]).decode(), message["seq"]

    def perform(self, op, key=None, value=None, old=None, new=None, **_):
        if op == "status":
            info = self.request("$JS.API.STREAM.INFO.KV_p")
            if "error" in info:
                info = self.request("$JS.API.STREAM.CREATE.KV_p", json.dumps(STREAM).encode())
            leader = info.get("cluster", {}).get("leader")
            return {"role": "leader" if leader == NODE else "follower", "ready": leader is not None}
        if op == "read":
            return {"value": self.last(key)[0]}
        header = ""
        if op == "cas":
            # What was read guards the update: the store takes it only after this very message.
            value, (saw, sequence) = new, self.last(key)
            if saw != str(old):
                return {"swapped": False, "saw": saw}
            header = f"Nats-Expected-Last-Subject-Sequence: {sequence}"
        answer = self.request(f"$KV.p.{key}", str(value).encode(), header)
        if header and answer.get("error", {}).get("err_code") in WRONG_SEQUENCE:
            return {"swapped": False}
        if "error" in answer:
            raise OSError(answer["error"])
        return {"swapped": True} if header else {}


connection = None
print(json.dumps({"format": 1, "operations": ["read", "write", "cas", "status"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    seconds = request["limit-ms"] / 1000
    try:
        connection = connection or Connection(seconds)
        connection.socket.settimeout(seconds)
        reply = {"ok": connection.perform(**request)}
    except Refused as error:
        reply = {"fail": str(error)}
    except (OSError, ValueError, KeyError) as error:
        connection, reply = None, {"unknown": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": request["id"], **reply}), flush=True)
