"""Speaks for a client of Partita to one node of slate: `slate_client.py 198.18.0.1:4000`."""
import json
import socket
import sys

stream = None


def connect(seconds):
    global stream
    if stream is None:
        stream = socket.create_connection(sys.argv[1].rsplit(":", 1), seconds)
    stream.settimeout(seconds)


def ask(words, seconds):
    """Sends a line and reads one. Whatever goes wrong, the line may have been carried out."""
    global stream
    try:
        stream.sendall(f"{words}\n".encode())
        answer = stream.makefile().readline()
        if not answer.endswith("\n"):
            raise OSError("the connection was closed")
        return answer.strip()
    except OSError:
        stream = None
        raise


def perform(request):
    seconds, op = request["limit-ms"] / 1000, request["op"]
    line = {"read": "GET {key}", "write": "PUT {key} {value}", "cas": "SWAP {key} {old} {new}", "status": "WHO"}[op]
    try:
        connect(seconds)
    except OSError as error:
        return {"fail": f"not connected: {error}"}  # nothing was sent
    try:
        word, _, rest = ask(line.format(**request), seconds).partition(" ")
    except OSError as error:
        return {"unknown": f"no answer: {error}"}
    if word == "REFUSED":
        return {"fail": rest}  # the store promises that it did nothing
    done = {
        "VALUE": {"value": rest},
        "NOTHING": {"value": None},
        "STORED": {},
        "SWAPPED": {"swapped": True},
        "DIFFERS": {"swapped": False, "saw": rest or None},
        "PRIMARY": {"role": "leader"},
        "BACKUP": {"role": "follower"},
    }
    return {"ok": done[word]} if word in done else {"unknown": f"{word} {rest}"}


if __name__ == "__main__":
    print(json.dumps({"format": 1, "operations": ["read", "write", "cas", "status"]}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"id": request["id"], **perform(request)}), flush=True)
