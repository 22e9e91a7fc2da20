"""Raw keys with the Python package: `smoke.py HOST:PORT …`, on a cluster without keyspaces.

Both of its interfaces: the one that blocks and the one that is awaited.
"""

import asyncio
import os
import sys

from tikv_client import RawClient
from tikv_client.asynchronous import RawClient as AwaitedClient


def key(number):
    return b"key%03d" % number


def is_same(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def blocking(endpoints):
    client = RawClient.connect(endpoints)
    client.put(b"k", b"v")
    is_same(client.get(b"k"), b"v")
    is_same(client.get(b"absent"), None)
    pairs = {key(number): b"value %d" % number for number in range(300)}
    client.batch_put(pairs)
    is_same(client.get(key(299)), b"value 299")
    is_same(dict(client.batch_get(list(pairs) + [b"absent"])), pairs)
    is_same(client.scan(b"key", b"kez", 1_000), sorted(pairs.items()))
    is_same(client.scan(key(95), key(205), 1_000), sorted(pairs.items())[95:205])
    is_same(client.scan(key(95), key(205), 1_000, include_end=True)[-1][0], key(205))
    is_same(client.scan_keys(key(0), key(300), 7), sorted(pairs)[:7])
    client.delete(key(0))
    is_same(client.get(key(0)), None)
    client.batch_delete([key(1), key(150), key(299)])
    is_same(client.batch_get([key(1), key(150), key(299)]), [])
    client.delete_range(key(90), key(210))
    left = [key(number) for number in range(2, 299) if not 90 <= number < 210]
    is_same(client.scan_keys(b"key", b"kez", 1_000), left)
    client.put(b"\x00\xff", bytes(range(256)))
    is_same(client.get(b"\x00\xff"), bytes(range(256)))
    client.put(b"large", bytes(1 << 20))
    is_same(client.get(b"large"), bytes(1 << 20))


async def awaited(endpoints):
    client = await AwaitedClient.connect(endpoints)
    numbers = range(50)
    await asyncio.gather(*(client.put(b"a%d" % number, b"b%d" % number) for number in numbers))
    found = await asyncio.gather(*(client.get(b"a%d" % number) for number in numbers))
    is_same(found, [b"b%d" % number for number in numbers])


blocking(sys.argv[1:])
asyncio.new_event_loop().run_until_complete(awaited(sys.argv[1:]))
print("all is well", flush=True)
# The package's threads outlive the interpreter's own end and now and then abort it there.
os._exit(0)
