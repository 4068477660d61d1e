"""Queues flows without Flowlift's own producer: python3 producer.py PROJECT FLOW... (needs pika and xxhash; docs/MESSAGE.md)."""
import gzip, json, os, secrets, sys, time
from uuid import UUID
import pika, xxhash

project, flows = sys.argv[1], sys.argv[2:]
now_ms = lambda: time.time_ns() // 1_000_000
run = str(UUID(int=now_ms() << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)))  # UUIDv7
amqp = pika.BlockingConnection(pika.URLParameters(os.environ["FLOWLIFT_AMQP_URL"]))
channel = amqp.channel()
channel.confirm_delivery()  # from here on a message that no queue has taken raises an exception

def send(queue, record, headers=None):
    properties = pika.BasicProperties("application/json", "gzip", headers or {}, delivery_mode=2)
    channel.basic_publish("", queue, gzip.compress(json.dumps(record).encode()), properties, mandatory=True)

def draw_rank():  # above every rank confirmed before; reading begins before our mark is written and ends at it
    for start in ("last", "first"):
        reader, events = amqp.channel(), []
        reader.basic_qos(prefetch_count=100)
        def heard(_, delivery, __, body):
            events.append(json.loads(gzip.decompress(body)))
            reader.basic_ack(delivery.delivery_tag)
        reader.basic_consume("flowlift.runs", heard, arguments={"x-stream-offset": start})
        send("flowlift.runs", {"kind": "opening", "run": run})
        while {"kind": "opening", "run": run} not in events:
            amqp.process_data_events(time_limit=1)
        reader.close()
        if ranks := [event["rank"] for event in events if "rank" in event]:
            return max(now_ms(), max(ranks) + 1)
    return now_ms()

rank = draw_rank()
send("flowlift.runs", {"kind": "opened", "run": run, "rank": rank, "who": "producer.py", "source": "its command line", "owner": "", "at_ms": now_ms()})
changes = [{"seq": seq, "op": "upsert", "flow": {"name": flow, "jobs": [{"name": flow, "type": "command", "props": {"command": "true"}}]}}
           for seq, flow in enumerate(flows, 1)]
shard = xxhash.xxh3_64_intdigest(project.lower().encode()) % 256
for group in (changes[i:i + 1000] for i in range(0, len(changes), 1000)):
    headers = {"flowlift-version": 1, "flowlift-run": run, "flowlift-project": project, "flowlift-rank": rank,
               "flowlift-first": group[0]["seq"], "flowlift-last": group[-1]["seq"]}
    send(f"flowlift.shard.{shard:03}", {"v": 1, "project": project, "run": run, "rank": rank, "published_ms": now_ms(), "changes": group}, headers)
send("flowlift.runs", {"kind": "closed", "run": run, "rank": rank, "projects": {project: len(changes)}, "partial": False, "at_ms": now_ms()})
print(run)
