"""A client that asks a service without a pause from a host, each time by a new connection, and counts.

Runs on the host: client.py URL LOG, until it is ended. A line of LOG is a time, and `ok POD` or the error.
"""

import sys
import time
import urllib.request
from pathlib import Path

url, log = sys.argv[1:]
with Path(log).open("w", buffering=1) as out:
    while True:
        began = time.time()
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                told = "ok " + answer.read().decode().strip()
        except OSError as error:  # refused, reset, timed out, or a status of failure
            told = f"{type(error).__name__} {error}"
        out.write(f"{began:.2f} {told}\n")
        time.sleep(0.05)
