"""Who reads and changes the site: each visitor one connection to each machine, one thing at a time.

A visitor who has changed something looks at once at what shows it, through the same machine and
through the other: a page that is stale only for a moment is stale then.
"""

import asyncio
import json

import pages
import truth as facts
import wire

LIMIT_S = 15
CROWD = 5
LAST_LEFT = 6
PURGE_PATH = "/.larder/purge"


class Visitors:
    def __init__(self, truth, ports, token):
        self.truth = truth
        self.token = token  # of the purge interface
        self.ports = ports
        self.pages = pages.Weighted(pages.all_pages())
        self.changes = pages.Weighted(pages.all_changes())
        self.by_resource = {}
        for page in self.pages.things:
            for need in page.needs:
                self.by_resource.setdefault(need, []).append(page)
        self.running = True

    async def run(self, number, rng, pause_s):
        visitor = Visitor(self, number, rng)
        while self.running:
            await visitor.act()
            await asyncio.sleep(rng.expovariate(1 / pause_s))
        visitor.close()

    async def leave(self, visitor_number, rng, machine):
        """Some changes whose visitors hang up."""
        visitor = Visitor(self, visitor_number, rng)
        for _ in range(LAST_LEFT):
            await visitor.change(machine, leaves=True)
        visitor.close()

    async def sweep(self, visitor_number, rng, machine):
        """Every page once. Returns how many were hits, of how many."""
        visitor = Visitor(self, visitor_number, rng)
        hits = 0
        for page in self.pages.things:
            answer = await visitor.read(page, machine, plain=True)
            if not isinstance(answer, Exception) and answer.get("X-Cache") == "HIT":
                hits += 1
        visitor.close()
        return hits, len(self.pages.things)


class Visitor:
    def __init__(self, all_of_them, number, rng):
        self.all = all_of_them
        self.truth = all_of_them.truth
        self.number = number
        self.rng = rng
        self.home = self.rng.choice("ab")
        self.connections = {name: wire.Connection(all_of_them.ports["front_" + name])
                            for name in "ab"}
        self.tags = {}  # page and language: the ETag last seen

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def other(self, machine):
        return "b" if machine == "a" else "a"

    async def act(self):
        machine = self.home if self.rng.random() < 0.8 else self.other(self.home)
        which = self.rng.random()
        if which < 0.1:
            await self.change(machine)
        elif which < 0.115:
            await self.purge(machine)
        elif which < 0.13:
            await self.crowd(self.all.pages.choose(self.rng), machine)
        else:
            await self.read(self.all.pages.choose(self.rng), machine)

    # ---------------------------------------------------------------- reading

    def fields_for(self, page, plain):
        fields = []
        if page.user:
            fields.append(("Cookie", "uid=%s; sid=%s" % (page.user, pages.session_of(page.user))))
            # Somebody else's name, one's own session: that is nobody else's page.
            # A change drops the pages under one's own name only, so it promises nothing here.
            if not plain and self.rng.random() < 0.05:
                forged = self.rng.choice(pages.USERS)
                fields = [("Cookie", "uid=%s; sid=%s" % (forged, pages.session_of(page.user)))]
                return fields, pages.Page(page.family, page.target, [], page.user)
        if page.language:
            fields.append(("Accept-Language", page.language))
        if plain:
            return fields, page
        if page.family == "file" and self.rng.random() < 0.4:
            begin = self.rng.randrange(2000)
            end = begin + self.rng.choice((10, 900, 30000, 70000))
            fields.append(("Range", "bytes=%d-%d" % (begin, end)))
        elif str(page) in self.tags and self.rng.random() < 0.15:
            fields.append(("If-None-Match", self.tags[str(page)]))
        elif self.rng.random() < 0.02:
            fields.append(("Cache-Control", "no-cache"))
        return fields, page

    async def read(self, page, machine, plain=False):
        fields, page = self.fields_for(page, plain)
        connection = self.connections[machine]
        if not plain and self.rng.random() < 0.01:
            self.truth.count("reads abandoned")
            await connection.abandon("GET", page.target, fields, None, self.rng.uniform(0, 0.1))
            return None
        while True:
            reused = connection.writer is not None
            read = facts.Read(page, machine, self.number, self.truth.now())
            try:
                answer = await connection.ask("GET", page.target, fields, None, LIMIT_S)
            except wire.Broken as broken:
                # A web server may close a connection that was idle.
                if reused and not broken.begun:
                    continue
                answer = broken
            break
        wrong = self.truth.judge(read, answer)
        if wrong is None and not isinstance(answer, Exception) and answer.get("ETag"):
            self.tags[str(page)] = answer.get("ETag")
        return answer

    async def crowd(self, page, machine):
        """Many at once, each with a connection of his own: they may get one fetch, if it is theirs."""
        each = [Visitor(self.all, "%s.%d" % (self.number, n), self.rng) for n in range(CROWD)]
        try:
            await asyncio.gather(*[visitor.read(page, machine, plain=True) for visitor in each])
        finally:
            for visitor in each:
                visitor.close()

    # --------------------------------------------------------------- changing

    async def change(self, machine, leaves=False):
        change = self.all.changes.choose(self.rng)
        method = self.rng.choice(change.methods)
        mutation = self.truth.begin_mutation(method, change.target, change.resource, machine)
        fields = [("X-Mutation", str(mutation.number))]
        if change.user:
            fields.append(("Cookie", "uid=%s; sid=%s" % (change.user,
                                                         pages.session_of(change.user))))
        # One of its own: whether it arrived on a connection that was closed meanwhile nobody knows.
        connection = wire.Connection(self.all.ports["front_" + machine])
        if not leaves and self.rng.random() < 0.15:
            await self.upload(change, method, mutation, fields, machine, connection)
            return
        if leaves or self.rng.random() < 0.04:
            await self.leave(change, method, mutation, fields, connection)
            return
        try:
            answer = await connection.ask(method, change.target, fields, b"x", LIMIT_S)
        except wire.Broken as broken:
            self.truth.end_mutation(mutation, why=str(broken))
            self.truth.judge_mutation(mutation)
            return
        finally:
            connection.close()
        self.end(mutation, answer)
        if mutation.acknowledged:
            await self.look(change, machine)

    async def leave(self, change, method, mutation, fields, connection):
        """Hang up before the head of the answer or in its body: neither makes anything unknown."""
        mutation.left = True
        if self.rng.random() < 0.5:
            await connection.abandon(method, change.target, fields, b"x", self.rng.uniform(0, 0.2))
        else:
            await connection.leave(method, change.target, fields, b"x", self.rng.uniform(0, 0.1))
        self.truth.count("visitors who left a change")
        self.truth.end_mutation(mutation, why="the visitor left")

    async def upload(self, change, method, mutation, fields, machine, connection):
        """A body that takes its time, and half of them break off: those are no mutations."""
        size = self.rng.choice((10, 3000, 3000, 300000))
        upload = wire.Upload(size, self.rng.random() < 0.3, self.rng.choice((2, 5)),
                             self.rng.uniform(0, 0.3))
        if self.rng.random() < 0.5:
            mutation.cut = True
            upload.cut_at = self.rng.randrange(size)
        self.truth.count("uploads, " + ("cut" if mutation.cut else "slow"))
        try:
            answer = await connection.upload(method, change.target, fields, upload, LIMIT_S)
        except wire.Broken as broken:
            self.truth.end_mutation(mutation, why=str(broken))
            self.truth.judge_mutation(mutation)
            return
        if answer is None:
            self.truth.end_mutation(mutation, why="the body was broken off")
            return
        self.end(mutation, answer)
        if mutation.acknowledged:
            await self.look(change, machine)

    def end(self, mutation, answer):
        word = answer.get("X-Cache-Invalidate")
        if not answer.whole:
            self.truth.end_mutation(mutation, why=answer.words, word=word)
        elif answer.status < 500 or answer.get("X-Torture-Error"):
            self.truth.end_mutation(mutation, answer.status, word)
        else:
            mutation.given_up = True
            self.truth.end_mutation(mutation, why="status %d" % answer.status, word=word)
        self.truth.judge_mutation(mutation)

    async def purge(self, machine):
        order, targets = pages.some_purge(self.rng, self.all.pages.things)
        purge = facts.Purge(json.dumps(order), order["soft"], machine, self.truth.now())
        fields = [("Authorization", "Bearer " + self.all.token),
                  ("Content-Type", "application/json")]
        connection = wire.Connection(self.all.ports["front_" + machine])
        try:
            answer = await connection.ask("POST", PURGE_PATH, fields, purge.words.encode(),
                                          LIMIT_S)
            said = json.loads(answer.body) if answer.whole else {}
            purge.word = said.get("outcome") if answer.status == 200 else None
            words = "status %d, %r" % (answer.status, answer.body[:200])
        except (wire.Broken, ValueError) as error:
            words = str(error)
        finally:
            connection.close()
        if purge.word in ("done", "journal", "queued"):
            self.truth.purged(targets, purge)
            for page in self.all.pages.things:
                if page.target in targets and self.rng.random() < 0.5:
                    await self.read(page, self.rng.choice("ab"))
        else:
            self.truth.judge_purge(purge, words)

    async def look(self, change, machine):
        seen_by = self.all.by_resource[change.resource]
        for where, chance in ((machine, 0.7), (self.other(machine), 0.5)):
            if self.rng.random() < chance:
                await self.read(self.rng.choice(seen_by), where)
        if self.rng.random() < 0.1:
            await self.crowd(self.rng.choice(seen_by), machine)


