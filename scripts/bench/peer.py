"""Answers every line on standard input with the seconds that one round of the peer took; `keep` gets what it gave, untimed."""
import sys
import time


def serve(work, keep=lambda result: None):
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        keep(result)
        print(seconds, flush=True)
