"""Follows one service's events on NATS from the first on, and checks that none is missing: `follow.py NATS_URL SERVICE COUNT`.

Prints each event's type and subject; ends after COUNT events, or with a failure when one is missing or nothing comes any more.
"""

import asyncio
import json
import sys

import nats


async def main(url, service, count):
    connection = await nats.connect(url)
    stream = connection.jetstream()
    events = await stream.subscribe(f"bramble.{service}.>", ordered_consumer=True)
    last = "0"
    for _ in range(count):
        message = await events.next_msg(timeout=30)
        event = json.loads(message.data)
        if event["previous"] != last:
            sys.exit(f"behind {last} comes {event['sequence']}, whose previous is {event['previous']}")
        subject = f"bramble.{service}.{event['type']}.v1"
        if message.subject != subject or event["specversion"] != "1.0":
            sys.exit(f"not a CloudEvent of {message.subject}: {event}")
        last = event["sequence"]
        print(event["type"], event["subject"], flush=True)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
