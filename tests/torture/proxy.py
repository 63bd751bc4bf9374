"""What stands between one machine and Redis, and breaks in every way that a network does.

It passes bytes and understands none: a reply is cut where it happens to be, so that whoever read
half of it must not take the rest for the next one.
"""

import asyncio
import os

PASS, REFUSE, HANG = "pass", "refuse", "hang"


class Half(asyncio.Protocol):
    """One side of a connection; `other` is the side that its bytes go to."""

    def __init__(self, proxy, replies):
        self.proxy = proxy
        self.replies = replies  # this side is Redis'
        self.other = None
        self.transport = None
        self.early = []  # bytes that came before the other side was there
        self.held = []  # bytes that wait while nothing passes

    def connection_made(self, transport):
        self.transport = transport
        self.proxy.halves.add(self)
        if not self.replies:
            self.proxy.accepted(self)

    def data_received(self, data):
        # What is held up is passed in the order in which it came, whatever has changed since.
        if self.proxy.delay_s > 0 and self.proxy.mode != HANG:
            asyncio.get_running_loop().call_later(self.proxy.delay_s, self.release, 1)
        elif self.proxy.mode != HANG and not self.held:
            self.forward(data)
            return
        self.held.append(data)

    def forward(self, data):
        if self.other is None:
            self.early.append(data)
            return
        proxy = self.proxy
        if proxy.cut_chance > 0 and proxy.rng.random() < proxy.cut_chance:
            self.other.transport.write(data[:proxy.rng.randrange(len(data))])
            self.close()
            return
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def release(self, most=None):
        passed, self.held = self.held[:most], self.held[most:] if most else []
        for data in passed:
            self.forward(data)

    def join(self, other):
        self.other, other.other = other, self
        for half in (self, other):
            early, half.early = half.early, []
            for data in early:
                half.forward(data)

    def close(self):
        for half in (self, self.other):
            if half is not None and half.transport is not None:
                half.transport.close()

    def connection_lost(self, _):
        self.proxy.halves.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Proxy:
    """Listens on a path or a port; `target` is the path of Redis' socket."""

    def __init__(self, rng, address, target):
        self.rng = rng
        self.address = address
        self.target = target
        self.mode = PASS
        self.delay_s = 0
        self.cut_chance = 0
        self.halves = set()
        self.server = None
        self.tasks = set()

    async def listen(self):
        loop = asyncio.get_running_loop()
        if isinstance(self.address, int):
            self.server = await loop.create_server(lambda: Half(self, False), "127.0.0.1",
                                                   self.address, reuse_address=True, backlog=256)
        else:
            if os.path.exists(self.address):
                os.unlink(self.address)
            self.server = await loop.create_unix_server(lambda: Half(self, False), self.address,
                                                        backlog=256)
            os.chmod(self.address, 0o777)

    def accepted(self, half):
        # asyncio itself holds a task only weakly.
        task = asyncio.get_running_loop().create_task(self.connect(half))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self, half):
        try:
            _, other = await asyncio.get_running_loop().create_unix_connection(
                lambda: Half(self, True), self.target)
        except OSError:
            half.transport.close()
            return
        if half.transport.is_closing():
            other.transport.close()
            return
        half.join(other)

    def drop(self):
        """Every connection ends now."""
        for half in list(self.halves):
            half.transport.abort()

    async def refuse(self):
        self.server.close()
        self.drop()
        await asyncio.sleep(0)

    def hang(self):
        self.mode = HANG

    def unhang(self):
        self.mode = PASS
        self.settle()

    def slow(self, delay_s):
        self.delay_s = delay_s
        if delay_s == 0:
            self.settle()

    def settle(self):
        for half in list(self.halves):
            half.release()

    def retarget(self, target):
        self.target = target
        self.drop()

    async def close(self):
        self.server.close()
        self.drop()
