"""A client that writes and reads Secrets without a pause, each time by a new connection, and counts.

Runs on a control plane's host: secrets_client.py ENDPOINT LOG, until it is ended. Each round replaces one of
ten Secrets and reads all of them. A line of LOG is a time, `write` or `read`, and `ok` or what was wrong.
"""

import base64
import http.client
import json
import re
import ssl
import sys
import tempfile
import time
from pathlib import Path

endpoint, log = sys.argv[1:]
PATH = "/api/v1/namespaces/default/secrets"
conf = Path("/etc/kubernetes/admin.conf").read_text()


def of_conf(name: str) -> bytes:
    """What is written there for the administrator."""
    found = re.search(rf"{name}-data: (\S+)", conf)
    assert found is not None
    return base64.b64decode(found[1])


context = ssl.create_default_context(cadata=of_conf("certificate-authority").decode())
# kubeadm's authorities lack what this asks for
context.verify_flags &= ~ssl.VERIFY_X509_STRICT
with tempfile.NamedTemporaryFile() as pair:
    pair.write(of_conf("client-certificate") + of_conf("client-key"))
    pair.flush()
    context.load_cert_chain(pair.name)


def ask(method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and text of one answer."""
    host, _, port = endpoint.rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def secret(name: str, word: str) -> object:
    """One that holds a word."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"word": word}}


def write(name: str, word: str) -> str:
    """Replaces it, or makes it."""
    status, text = ask("PUT", f"{PATH}/{name}", secret(name, word))
    if status == http.HTTPStatus.NOT_FOUND:
        status, text = ask("POST", PATH, secret(name, word))
    return "ok" if status < http.HTTPStatus.BAD_REQUEST else f"{status} {text}"


def read(words: dict[str, str]) -> str:
    """All of them have the words that were written last."""
    status, text = ask("GET", PATH)
    if status != http.HTTPStatus.OK:
        return f"{status} {text}"
    data = {item["metadata"]["name"]: item.get("data", {}) for item in json.loads(text)["items"]}
    found = {name: base64.b64decode(data.get(name, {}).get("word", "")).decode() for name in words}
    return "ok" if found == words else f"{found} in the place of {words}"


words: dict[str, str] = {}
with Path(log).open("w", buffering=1) as out:
    number = 0
    while True:
        number += 1
        name, word = f"live-{number % 10}", f"xyzzy-{number}"
        for what in ("write", "read"):
            began = time.time()
            try:
                told = write(name, word) if what == "write" else read(words)
            except (OSError, http.client.HTTPException) as error:  # refused, cut off, timed out
                told = f"{type(error).__name__} {error}"
            if what == "write" and told == "ok":
                words[name] = word
            elif what == "write":
                words.pop(name, None)  # nobody knows which one is there now
            out.write(f"{began:.2f} {what} {' '.join(told.split())}\n")
        time.sleep(0.05)
