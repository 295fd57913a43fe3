"""Answers every line on standard input with the seconds that one round of the peer took."""
import sys
import time


def serve(work):
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        work()
        print(time.perf_counter() - started, flush=True)
