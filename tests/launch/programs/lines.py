"""Writes numbered lines of many lengths in pieces of odd sizes, to both streams in turn."""

import os

rank = os.environ["FARANDOLE_RANK"]
chunks = {1: b"", 2: b""}
for number in range(2000):
    body = "x" * (number * 37 % 900)
    stream = 1 + number % 2
    chunks[stream] += f"<{rank} {number} {body} {len(body)}>\n".encode()
    while len(chunks[stream]) > 1500:
        size = 1 + number * 7 % 1499
        os.write(stream, chunks[stream][:size])
        chunks[stream] = chunks[stream][size:]
for stream, rest in chunks.items():
    os.write(stream, rest)
