"""What goes wrong: faults in four lanes, each lane one after the other, the lanes side by side.

A lane plays its kinds like a shuffled deck of cards: the order and the lengths come from the seed,
and even a short run meets most of them. Each fault says from when to when a machine may have been
without Redis, and whether Redis may have lost what it was told: promises depend on it.
"""

import asyncio
import os
import random
import shutil
import signal

import parts

LANES = {
    # Redis, for both machines
    "redis": ("stop", "empty", "dump", "restart", "full", "lru", "random", "promote"),
    # what stands between a machine and Redis
    "net": ("cut", "drop", "delay", "refuse", "hang"),
    # the responders of a machine
    "pool": ("kill", "killall", "term", "hup", "disable"),
    "backend": ("backend",),
    # the wall clock of a machine
    "clock": ("clock",),
}
PAUSE_S = {"redis": (0.3, 1.5), "net": (0.3, 2), "pool": (0.2, 1.5), "backend": (3, 8),
           "clock": (0.3, 2)}
PAUSES_FOR_S = 14  # runs of this length and more have these pauses
ALL = [kind for kinds in LANES.values() for kind in kinds]
BOTH = ("a", "b")


class Faults:
    def __init__(self, world, seed, wanted):
        self.world = world
        self.truth = world.truth
        self.seed = seed
        self.wanted = wanted
        self.ending = asyncio.Event()
        self.old_dump = os.path.join(world.options.dir, "old.rdb")

    def lanes(self):
        for lane, kinds in LANES.items():
            deck = [kind for kind in kinds if kind in self.wanted]
            if deck:
                yield self.lane(lane, deck, random.Random("%s %s" % (self.seed, lane)))

    async def lane(self, lane, kinds, rng):
        if lane == "redis":
            await self.world.master.save(self.old_dump)
        deck = []
        # A short run has each kind of fault as well.
        share = min(1, self.world.options.seconds / PAUSES_FOR_S)
        while True:
            if not deck:
                deck = list(kinds)
                rng.shuffle(deck)
            if await self.pause(share * rng.uniform(*PAUSE_S[lane])):
                return
            await getattr(self, deck.pop())(rng)

    async def pause(self, seconds):
        """True when it is over."""
        try:
            await asyncio.wait_for(self.ending.wait(), seconds)
        except asyncio.TimeoutError:
            pass
        return self.ending.is_set()

    # ------------------------------------------------------------------ Redis

    async def stop(self, rng):
        fault = self.truth.begin_fault("stop", "Redis stands still", BOTH)
        self.world.master.child.send(signal.SIGSTOP)
        await self.pause(rng.choice((0.1, 0.5, 1.5, 3.0)))
        self.world.master.child.send(signal.SIGCONT)
        await parts.until(self.world.master.answers, "Redis to go on")
        self.truth.end_fault(fault)

    async def back(self, rng, kind, detail, prepare):
        fault = self.truth.begin_fault(kind, detail, BOTH, "restarted")
        self.world.master.child.kill()
        await self.pause(rng.choice((0, 0.2, 1.0)))
        prepare()
        await self.world.master.start()
        self.truth.end_fault(fault)

    async def empty(self, rng):
        await self.back(rng, "empty", "Redis killed, and starts empty", self.world.master.forget)

    async def dump(self, rng):
        def put_back():
            shutil.copy(self.old_dump, self.world.master.dump)
        await self.back(rng, "dump", "Redis killed, and starts from an old dump", put_back)
        self.world.master.forget()
        if rng.random() < 0.5:
            await self.world.master.save(self.old_dump)

    async def restart(self, rng):
        """Everything that it knew some tenths of a second ago is back."""
        path = self.old_dump + ".new"
        await self.world.master.save(path)
        await self.pause(rng.uniform(0, 0.5))
        await self.back(rng, "restart", "Redis killed, and starts from a dump just made",
                        lambda: shutil.copy(path, self.world.master.dump))
        self.world.master.forget()

    async def limit(self, rng, kind, policy, share):
        """So that not all of what it has fits."""
        master = self.world.master
        used = int(await master.info("used_memory"))
        data = int(await master.info("used_memory_dataset"))
        fault = self.truth.begin_fault(kind, "maxmemory, " + policy, (),
                                       None if policy == "noeviction" else "evicted")
        await master.ask("CONFIG", "SET", "maxmemory-policy", policy)
        await master.ask("CONFIG", "SET", "maxmemory", max(1, used - int(data * share)))
        await self.pause(rng.uniform(0.5, 2))
        await master.ask("CONFIG", "SET", "maxmemory", 0)
        self.truth.end_fault(fault)

    async def full(self, rng):
        await self.limit(rng, "full", "noeviction", rng.choice((0, 0.5)))

    async def lru(self, rng):
        await self.limit(rng, "lru", "allkeys-lru", rng.uniform(0.1, 0.8))

    async def random(self, rng):
        await self.limit(rng, "random", "allkeys-random", rng.uniform(0.1, 0.8))

    async def promote(self, rng):
        """The master dies, its replica takes over with what it has got so far."""
        world = self.world
        if await world.replica.info("master_link_status") != "up":
            return
        fault = self.truth.begin_fault("promote", "the replica becomes master", BOTH, "restarted")
        world.master.child.kill()
        await self.pause(rng.choice((0, 0.3)))
        await world.replica.ask("REPLICAOF", "NO", "ONE")
        world.master, world.replica = world.replica, world.master
        for link in world.links.values():
            link.retarget(world.master.socket)
        self.truth.end_fault(fault)
        await self.pause(rng.uniform(0, 0.5))
        world.replica.forget()
        await world.replica.start(world.master)

    # ---------------------------------------------------------------- network

    def who(self, rng):
        return rng.choice((("a",), ("b",), BOTH))

    async def between(self, rng, kind, detail, names, begin, end):
        fault = self.truth.begin_fault(kind, detail + " of " + " and ".join(names), names)
        for name in names:
            await begin(self.world.links[name])
        await self.pause(rng.choice((0.2, 0.6, 1.5, 3)))
        for name in names:
            await end(self.world.links[name])
        self.truth.end_fault(fault)

    async def cut(self, rng):
        chance = rng.choice((0.02, 0.1, 0.4))

        async def begin(link):
            link.cut_chance = chance

        async def end(link):
            link.cut_chance = 0
        await self.between(rng, "cut", "%d %% of pieces cut" % (100 * chance), self.who(rng), begin,
                           end)

    async def drop(self, rng):
        names = self.who(rng)
        fault = self.truth.begin_fault("drop", "all connections of " + " and ".join(names), names)
        for name in names:
            self.world.links[name].drop()
        self.truth.end_fault(fault)

    async def delay(self, rng):
        delay_s = rng.choice((0.02, 0.1, 0.3))

        async def begin(link):
            link.slow(delay_s)

        async def end(link):
            link.slow(0)
        await self.between(rng, "delay", "%g s each way" % delay_s, self.who(rng), begin, end)

    async def refuse(self, rng):
        async def begin(link):
            await link.refuse()

        async def end(link):
            await link.listen()
        await self.between(rng, "refuse", "connections", self.who(rng), begin, end)

    async def hang(self, rng):
        async def begin(link):
            link.hang()

        async def end(link):
            link.unhang()
        await self.between(rng, "hang", "connections", self.who(rng), begin, end)

    # ------------------------------------------------------------- responders

    def some_machine(self, rng):
        return self.world.machines[rng.choice("ab")]

    async def kill(self, rng):
        machine = self.some_machine(rng)
        fault = self.truth.begin_fault("kill", "a responder of " + machine.name)
        machine.kill_responder(rng.choice(machine.responders))
        await self.pause(rng.choice((0, 0.2, 1)))
        machine.start_responder()
        self.truth.end_fault(fault)

    async def killall(self, rng):
        """Nobody is left to replay a journal until they are back."""
        machine = self.some_machine(rng)
        fault = self.truth.begin_fault("killall", "all responders of " + machine.name,
                                       (machine.name,))
        for child in list(machine.responders):
            machine.kill_responder(child)
        await self.pause(rng.choice((0, 0.3)))
        while len(machine.responders) < self.world.options.responders:
            machine.start_responder()
        self.truth.end_fault(fault)

    async def term(self, rng):
        """As a deployment does: nobody may notice."""
        machine = self.some_machine(rng)
        child = rng.choice(machine.responders)
        fault = self.truth.begin_fault("term", "a responder of " + machine.name)
        machine.start_responder()
        machine.responders.remove(child)
        status = await child.term()
        if status != 0:
            self.truth.report("died", ["a %s ended with %s after SIGTERM at %.3f" %
                                       (child.name, status, self.truth.now())])
        self.truth.end_fault(fault)

    async def hup(self, rng):
        machine = self.some_machine(rng)
        fault = self.truth.begin_fault("hup", "the responders of " + machine.name)
        await machine.reload()
        self.truth.end_fault(fault)

    async def disable(self, rng):
        """It serves and stores nothing for a while; what it changes the other one hears of."""
        machine = self.some_machine(rng)
        fault = self.truth.begin_fault("disable", "the cache of machine " + machine.name)
        machine.enabled = False
        machine.write_config()
        await machine.reload()
        await self.pause(rng.choice((0.3, 0.8, 2)))
        machine.enabled = True
        machine.write_config()
        await machine.reload()
        self.truth.end_fault(fault)

    # ------------------------------------------------------------------ clock

    async def clock(self, rng):
        """The wall clock of a machine jumps, and stays there; nothing may be noticed of it."""
        hours = rng.choice((-26, -3, 0, 3, 26))
        fault = self.truth.begin_fault("clock", "of machine %s: %+d h" % (parts.CLOCK_JUMPS, hours))
        self.world.machines[parts.CLOCK_JUMPS].set_clock(3600 * hours)
        self.truth.end_fault(fault)

    # ---------------------------------------------------------------- backend

    async def backend(self, rng):
        fault = self.truth.begin_fault("backend", "restarted")
        self.truth.down.append(fault)
        await self.world.backend.stop()
        await self.pause(rng.choice((0, 0.2, 1)))
        await self.world.backend.start()
        self.truth.end_fault(fault)
