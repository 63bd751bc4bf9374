"""HTTP/1.1 as the visitors and the backend of the torture speak it.

It is written by hand because what a library repairs or hides is what has to be seen here: whether an
answer came whole by its own framing, and what exactly its fields were. Nothing in here knows what an
answer should be.
"""

import asyncio

HEAD_MAX = 64 * 1024  # also the streams' own limit
BODY_MAX = 16 * 1024 * 1024
LEAVES_S = 5  # who would have left in the body, had one come


class Broken(Exception):
    """The other side closed, or spoke nonsense. `begun`: something of the message had come."""

    def __init__(self, words, begun):
        super().__init__(words)
        self.begun = begun


class Message:
    """A request or an answer. `fields` is in order, with repeats."""

    def __init__(self, start, fields):
        self.start = start
        self.fields = fields
        self.body = b""
        self.whole = False
        self.words = ""  # why it is not whole

    @property
    def status(self):
        return int(self.start[1])

    def all(self, name):
        name = name.lower()
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default


def text_of(start_line, fields, body=b""):
    lines = [start_line] + ["%s: %s" % field for field in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def read_head(reader):
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Broken("closed after %d bytes of the head" % len(error.partial), bool(error.partial))
    except asyncio.LimitOverrunError:
        raise Broken("a head without an end", True)
    except OSError as error:
        raise Broken(str(error), False)
    lines = raw[:-4].decode("latin-1").split("\r\n")
    start = lines[0].split(" ", 2)
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Broken("a field without a colon: %r" % line, True)
        fields.append((name, value.strip()))
    if len(start) < 2:
        raise Broken("a start line of one word: %r" % lines[0], True)
    return Message(start, fields)


async def read_chunks(reader):
    parts = []
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise asyncio.IncompleteReadError(b"".join(parts), None)
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while True:
                trailer = await reader.readline()
                if not trailer.endswith(b"\n"):
                    raise asyncio.IncompleteReadError(b"".join(parts), None)
                if trailer in (b"\r\n", b"\n"):
                    return b"".join(parts)
        try:
            parts.append(await reader.readexactly(size))
        except asyncio.IncompleteReadError as error:
            raise asyncio.IncompleteReadError(b"".join(parts) + error.partial, None)
        await reader.readexactly(2)


async def read_body(reader, message, is_answer, no_body=False):
    """Fills body, whole and words. Returns False when the connection cannot go on."""
    length = message.get("Content-Length")
    try:
        if no_body:
            pass
        elif "chunked" in (message.get("Transfer-Encoding") or "").lower():
            message.body = await read_chunks(reader)
        elif length is not None:
            message.body = await reader.readexactly(int(length))
        elif is_answer:
            message.body = await reader.read(BODY_MAX)
            while chunk := await reader.read(BODY_MAX):
                message.body += chunk
            message.whole = True
            return False
        message.whole = True
    except asyncio.IncompleteReadError as error:
        message.body = error.partial
        message.words = "closed after %d bytes of the body" % len(error.partial)
        return False
    except (OSError, ValueError) as error:
        message.words = "%s in the body" % error
        return False
    connection = (message.get("Connection") or "").lower()
    return "close" not in connection


async def read_request(reader, part):
    """None at the end of the connection; part() is called with one that is not whole."""
    try:
        message = await read_head(reader)
    except Broken:
        return None
    await read_body(reader, message, is_answer=False)
    if message.whole:
        return message
    part(message)
    return None


class Upload:
    """A body that comes in pieces; cut_at: it breaks off there, before its end."""

    def __init__(self, size, chunked, pieces, pause_s, cut_at=None):
        self.size = size
        self.chunked = chunked
        self.pieces = pieces
        self.pause_s = pause_s
        self.cut_at = cut_at


class Connection:
    """A visitor's connection to a web server, kept while that allows it."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None
        self.used = 0

    async def ask(self, method, target, fields, body, limit_s):
        """An answer, or Broken. Never repeats by itself."""
        try:
            return await asyncio.wait_for(self.exchange(method, target, fields, body), limit_s)
        except asyncio.TimeoutError:
            self.close()
            raise Broken("no answer within %g s" % limit_s, True)
        except Broken:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise Broken(str(error), False)

    async def exchange(self, method, target, fields, body):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.used = 0
        self.used += 1
        fields = [("Host", "torture")] + fields
        if body is not None:
            fields = fields + [("Content-Length", str(len(body)))]
        line = "%s %s HTTP/1.1" % (method, target)
        self.writer.write(text_of(line, fields, body or b""))
        answer = await read_head(self.reader)
        while 100 <= answer.status < 200:
            answer = await read_head(self.reader)
        no_body = method == "HEAD" or answer.status in (204, 304)
        if not await read_body(self.reader, answer, is_answer=True, no_body=no_body):
            self.close()
        return answer

    async def upload(self, method, target, fields, upload, limit_s):
        """An answer, None to a body that was broken off as it should be, or Broken."""
        try:
            return await asyncio.wait_for(self.send_slowly(method, target, fields, upload), limit_s)
        except asyncio.TimeoutError:
            raise Broken("no answer within %g s" % limit_s, True)
        except OSError as error:
            raise Broken(str(error), False)
        finally:
            self.close()

    async def send_slowly(self, method, target, fields, upload):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        size = ("Transfer-Encoding", "chunked") if upload.chunked else \
            ("Content-Length", str(upload.size))
        self.writer.write(text_of("%s %s HTTP/1.1" % (method, target),
                                  [("Host", "torture"), ("Connection", "close"), size] + fields))
        left = upload.size if upload.cut_at is None else upload.cut_at
        piece = max(1, upload.size // upload.pieces)
        try:
            while left > 0:
                n = min(piece, left)
                left -= n
                part = b"x" * n
                self.writer.write(b"%x\r\n%s\r\n" % (n, part) if upload.chunked else part)
                await self.writer.drain()
                await asyncio.sleep(upload.pause_s)
            if upload.cut_at is not None:
                return None
            if upload.chunked:
                self.writer.write(b"0\r\n\r\n")
        except ConnectionError:
            if upload.cut_at is not None:
                return None
        answer = await read_head(self.reader)
        while 100 <= answer.status < 200:
            answer = await read_head(self.reader)
        await read_body(self.reader, answer, is_answer=True, no_body=answer.status in (204, 304))
        return answer

    async def abandon(self, method, target, fields, body, after_s):
        """Ask, and be gone before the answer is there."""
        try:
            await asyncio.wait_for(self.exchange(method, target, fields, body), after_s)
        except (asyncio.TimeoutError, Broken, OSError):
            pass
        self.close()

    async def leave(self, method, target, fields, body, after_s):
        """Ask, and be gone in the body of the answer, after_s behind its head."""
        try:
            async with asyncio.timeout(LEAVES_S):
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                fields = [("Host", "torture"), ("Content-Length", str(len(body)))] + fields
                self.writer.write(text_of("%s %s HTTP/1.1" % (method, target), fields, body))
                await read_head(self.reader)
                await asyncio.sleep(after_s)
        except (asyncio.TimeoutError, Broken, OSError):
            pass
        self.close()

    def close(self):
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None
