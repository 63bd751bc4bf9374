"""The backend: the only one who knows, and not a reliable one.

Between what it reads and what it answers, and between what it is asked, does and says, some time
passes: that is where a cache goes wrong. It answers errors, breaks off, restarts, and says the same
thing in every way that HTTP has.
"""

import asyncio
import json

import pages
import truth as facts
import wire


LARGE = 2000000


class Backend:
    def __init__(self, truth, rng, port):
        self.truth = truth
        self.rng = rng
        self.port = port
        self.server = None
        self.writers = set()
        self.kind = False  # no errors, nothing broken off

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=256,
                                                 reuse_address=True)

    async def stop(self):
        """As a crash: whoever was being answered is not."""
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while (request := await wire.read_request(reader, self.part)) is not None:
                if not await self.answer(request, writer):
                    break
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def part(self, request):
        """The head came, and not all of the body."""
        number = request.get("X-Mutation")
        if number is not None:
            self.truth.judge_request(self.truth.mutations[int(number)], False)

    def some(self, chance):
        return not self.kind and self.rng.random() < chance

    async def dawdle(self, longest=0.6):
        chance = self.rng.random()
        if chance > 0.9:
            await asyncio.sleep(self.rng.uniform(0.1, longest))
        elif chance > 0.5:
            await asyncio.sleep(self.rng.uniform(0.001, 0.05))

    async def answer(self, request, writer):
        method, target = request.start[0], request.start[1]
        if method in ("GET", "HEAD"):
            return await self.read(request, target, writer, method == "HEAD")
        return await self.change(request, target, writer)

    # ------------------------------------------------------------------ reads

    async def read(self, request, target, writer, head_only):
        cookies = dict(pair.split("=", 1) for pair in (request.get("Cookie") or "").split("; ")
                       if "=" in pair)
        session = cookies.get("sid", "")
        user = session.removeprefix("secret-of-") if session in SESSIONS else None
        path = target.split("?")[0]
        family, number = path.strip("/").split("/")
        fetch = self.truth.begin_fetch(target, user)
        self.truth.count("fetches")
        if self.rng.random() < 0.3:
            await self.dawdle(0.3)
        shows = {need: self.truth.versions.get(need, 0) for need in pages.needs_of(path, user)}
        fetch.shows = shows
        await self.dawdle()
        # Nothing is known of its tags before it answers: that is the time to change it.
        if family == "tagged" and self.rng.random() < 0.3:
            await asyncio.sleep(self.rng.uniform(0.05, 0.4))

        if self.some(0.015):
            return self.say(writer, 500, [("X-Torture-Error", "1")], b"the backend is unwell\n")
        if self.some(0.015):
            self.break_off(target, writer, b"")
            return False
        if family == "file":
            return self.file(request, fetch, target, writer, head_only)

        language = request.get("Accept-Language") if family == "vary" else None
        fields = [("Content-Type", "text/plain")]
        tag = facts.tag_of(target, user, language, shows)
        validated = family in ("part", "list", "vary", "mine") or \
            family == "item" and int(number) % 2 == 0
        if family == "item" and int(number) % 3 == 0:
            fields.append(("Cache-Control", "max-age=1"))
        elif family == "mixed":
            fields += self.mixture(fetch)
        else:
            fields.append(("Cache-Control", "max-age=300"))
        if family == "vary":
            fields.append(("Vary", "Accept-Language"))
        if family == "tagged":
            group = int(number) % pages.GROUPS
            fields.append(("Cache-Groups", '"group-%d"' % group))
            fields.append(("Surrogate-Key", "page-%s group-%d" % (number, group)))
        if validated:
            fields.append(("ETag", tag))
            asked = request.get("If-None-Match") or ""
            if tag in asked:
                self.truth.count("304s of the backend's")
                return self.say(writer, 304, fields, None)

        length = self.rng.choice((0, 100, 700, 700, 3000, 3000, 20000, 90000, 200000))
        line = json.dumps({"fetch": fetch.number, "page": target, "user": user,
                           "language": language, "shows": shows, "fill": length})
        body = line.encode() + b"\n" + facts.filling(fetch.number, length)
        return self.send(target, writer, fields, body, head_only)

    def mixture(self, fetch):
        """For everybody, or for the one who asked alone."""
        which = self.rng.randrange(5)
        if which == 0:
            fetch.private = "with Set-Cookie"
            return [("Set-Cookie", "fetch=%d" % fetch.number), ("Cache-Control", "max-age=300")]
        if which == 1:
            fetch.private = "private"
            return [("Cache-Control", "private, max-age=300")]
        if which == 2:
            fetch.private = "no-store"
            return [("Cache-Control", "no-store")]
        return [("Cache-Control", "max-age=300")]

    def file(self, request, fetch, target, writer, head_only):
        resource, version = next(iter(fetch.shows.items()))
        body, tag = facts.file_of(resource, version), facts.file_tag(resource, version)
        fields = [("Cache-Control", "max-age=300"), ("ETag", tag), ("Accept-Ranges", "bytes")]
        if tag in (request.get("If-None-Match") or ""):
            return self.say(writer, 304, fields, None)
        span = request.get("Range")
        condition = request.get("If-Range")
        if span and (condition is None or condition == tag) and span.startswith("bytes="):
            first, _, last = span[6:].partition("-")
            if first.isdigit() and (last.isdigit() or not last) and int(first) < len(body):
                begin, end = int(first), min(int(last or len(body)), len(body) - 1)
                fields.append(("Content-Range", "bytes %d-%d/%d" % (begin, end, len(body))))
                return self.send(target, writer, fields, body[begin:end + 1], head_only, 206)
        return self.send(target, writer, fields, body, head_only)

    # --------------------------------------------------------------- mutations

    async def change(self, request, target, writer):
        mutation = self.truth.mutations[int(request.get("X-Mutation"))]
        self.truth.judge_request(mutation, True)
        if mutation.received is None:
            mutation.received = self.truth.now()
        fate = self.rng.random() if not self.kind else 1
        await self.dawdle(0.4)
        if fate < 0.08:
            status = self.rng.choice((400, 403, 404, 409, 500, 503))
            mutation.said = self.truth.now()
            return self.say(writer, status, [("X-Torture-Error", "1")], b"refused\n")
        if fate < 0.11:
            writer.transport.abort()
            return False
        fields = []
        if mutation.resource.startswith("group:"):
            group = mutation.resource.split(":")[1]
            fields.append(("Cache-Group-Invalidation", '"group-%s"' % group))
        if 0.18 <= fate < 0.3:
            return await self.change_behind_the_head(mutation, fields, writer)
        if mutation.late and fate >= 0.3:
            return self.change_behind_the_end(mutation, fields, writer)
        version = self.truth.commit(mutation)
        await self.dawdle(0.4)
        if fate < 0.16:
            # Done, and nobody hears of it; or of a part.
            part = self.rng.choice((b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"))
            writer.write(part)
            writer.close()
            return False
        body = json.dumps({"mutation": mutation.number, "version": version}).encode()
        if mutation.left:
            # Time to leave before the head, and more of a body than anybody takes from us at once.
            await asyncio.sleep(self.rng.uniform(0.1, 0.3))
            mutation.said = self.truth.now()
            return self.say(writer, 200, fields, body + b" " * LARGE)
        if fate < 0.18:
            writer.write(wire.text_of("HTTP/1.1 200 OK", fields +
                                      [("Content-Length", str(len(body) + 50))], body))
            writer.close()
            return False
        status = self.rng.choice((200, 200, 200, 201, 204, 303))
        if status == 303:
            fields.append(("Location", target))
        mutation.said = self.truth.now()
        return self.say(writer, status, fields, None if status == 204 else body)

    async def change_behind_the_head(self, mutation, fields, writer):
        """As an import that shows how far it is."""
        self.truth.count("commits behind the head")
        begun = b"begun\n"
        writer.write(wire.text_of("HTTP/1.1 200 OK", fields + [("Transfer-Encoding", "chunked")],
                                  b"%x\r\n%s\r\n" % (len(begun), begun)))
        await writer.drain()
        await asyncio.sleep(self.rng.uniform(0.02, 0.5))
        self.truth.commit(mutation)
        await self.dawdle(0.4)
        mutation.said = self.truth.now()
        writer.write(b"0\r\n\r\n")
        return True

    def change_behind_the_end(self, mutation, fields, writer):
        """As fastcgi_finish_request() has it."""
        self.truth.count("commits behind the end")
        mutation.said = self.truth.now()
        asyncio.get_running_loop().call_later(self.rng.uniform(0.1, pages.LATE_S - 0.2),
                                              self.truth.commit, mutation)
        return self.say(writer, 200, fields, b"soon\n")

    # ------------------------------------------------------------------ answers

    def say(self, writer, status, fields, body):
        if body is not None:
            fields = fields + [("Content-Length", str(len(body)))]
        writer.write(wire.text_of("HTTP/1.1 %d Torture" % status, fields, body or b""))
        return True

    def break_off(self, target, writer, part):
        self.truth.broken.setdefault(target, []).append(self.truth.now())
        self.truth.count("answers broken off")
        writer.write(part)
        writer.close()

    def send(self, target, writer, fields, body, head_only, status=200):
        """By length or in chunks, and now and then not to the end."""
        start = "HTTP/1.1 %d OK" % status
        if self.rng.random() < 0.4 and not head_only:
            head = wire.text_of(start, fields + [("Transfer-Encoding", "chunked")])
            half = len(body) // 2
            chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])
                      if part]
            if self.some(0.02):
                self.break_off(target, writer, head + b"".join(chunks[:self.rng.randrange(3)]))
                return False
            writer.write(head + b"".join(chunks) + b"0\r\n\r\n")
            return True
        head = wire.text_of(start, fields + [("Content-Length", str(len(body)))])
        if self.some(0.02) and not head_only:
            self.break_off(target, writer, head + body[:self.rng.randrange(len(body))])
            return False
        writer.write(head + (b"" if head_only else body))
        return True


SESSIONS = {pages.session_of(user) for user in pages.USERS}
