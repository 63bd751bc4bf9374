"""The real parts of the torture: Redis, web servers and responders, each a child of ours.

Every process is started from the main thread and dies with it (setpriv --pdeathsig), ends by its
pid, and is missed when it ends by itself.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time

import fronts
import pages
import proxy

GRACE_S = 20  # a program that was told to end
BEGINS_S = 0.5  # a program that was started
REGISTER = "larder:gen-mutations"


class Child:
    def __init__(self, name, command, log, stdin=subprocess.DEVNULL):
        self.name = name
        wrapped = ["setpriv", "--pdeathsig", "KILL", "--"] + command
        with open(log, "ab") as out:
            self.process = subprocess.Popen(wrapped, stdin=stdin, stdout=out, stderr=out)
        self.expected = False  # to end
        self.began = time.monotonic()

    @property
    def pid(self):
        return self.process.pid

    def ended(self):
        return self.process.poll() is not None

    def send(self, number):
        if not self.ended():
            self.process.send_signal(number)

    def kill(self):
        """At once. It cannot be caught, so it is not waited for in vain."""
        self.expected = True
        self.send(signal.SIGKILL)
        self.process.wait()

    async def term(self):
        """Its exit status, or None when it had to be killed."""
        self.expected = True
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        end = time.monotonic() + GRACE_S
        while not self.ended():
            if time.monotonic() > end:
                self.kill()
                return None
            await asyncio.sleep(0.01)
        return self.process.returncode


# Whose wall clock the fault "clock" sets; the other one has the time that Redis has.
CLOCK_JUMPS = "b"


class RedisError(Exception):
    pass


class Redis:
    """One server, reachable by a socket for us and the proxies, by a port for its replica."""

    def __init__(self, directory, name, port):
        self.name = name
        self.port = port
        self.dir = os.path.join(directory, name)
        self.socket = os.path.join(self.dir, "sock")
        self.dump = os.path.join(self.dir, "dump.rdb")
        self.log = os.path.join(directory, "log", name)
        self.child = None
        os.mkdir(self.dir)

    async def start(self, master=None):
        command = ["redis-server", "--unixsocket", self.socket, "--unixsocketperm", "777",
                   "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly",
                   "no", "--daemonize", "no", "--dir", self.dir, "--repl-diskless-sync-delay", "0"]
        if master is not None:
            command += ["--replicaof", "127.0.0.1 %d" % master.port]
        self.child = Child(self.name, command, self.log)
        await until(self.answers, "%s to answer" % self.name)

    async def answers(self):
        try:
            return await self.ask("PING") == "PONG"
        except (OSError, RedisError):
            return False

    async def ask(self, *words, limit_s=10):
        """One command on a connection of its own. Nested arrays come as lists."""
        try:
            return await asyncio.wait_for(self.exchange(words), limit_s)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            raise RedisError("%s: %s: %r" % (self.name, words[0], error))

    async def exchange(self, words):
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            parts = [str(word).encode() for word in words]
            writer.write(b"*%d\r\n" % len(parts) +
                         b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            return await self.reply(reader)
        finally:
            writer.close()

    async def reply(self, reader):
        line = (await reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RedisError("%s: %s" % (self.name, rest.decode()))
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"$":
            return (await reader.readexactly(int(rest) + 2))[:-2].decode("latin-1")
        return [await self.reply(reader) for _ in range(int(rest))]

    async def info(self, name):
        for line in (await self.ask("INFO", "all")).split("\r\n"):
            key, _, value = line.partition(":")
            if key == name:
                return value
        return None

    async def save(self, path):
        """A dump as of now, kept aside; a replica that is being made goes first."""
        async def saved():
            try:
                return await self.ask("SAVE") == "OK"
            except RedisError as error:
                if "in progress" not in str(error):
                    raise
                return False
        await until(saved, "%s to save" % self.name)
        shutil.move(self.dump, path)

    def forget(self):
        if os.path.exists(self.dump):
            os.unlink(self.dump)


class Machine:
    """A pool of responders with directories and configuration of its own, behind a web server."""

    def __init__(self, options, name, ports, link, truth):
        self.options = options
        self.name = name
        self.front_port = ports["front_" + name]
        self.dir = os.path.join(options.dir, name)
        self.socket_path = os.path.join(self.dir, "larder.sock")
        self.config = os.path.join(self.dir, "larder.conf")
        self.log = os.path.join(options.dir, "log", name)
        self.link = link  # its proxy
        self.truth = truth
        self.responders = []
        self.front = None
        self.listener = None
        self.enabled = True
        self.clock = self.at("clock") if name == CLOCK_JUMPS and "clock" in options.wanted else None
        for directory in (self.dir, self.at("run"), self.at("state"), self.at("www")):
            os.mkdir(directory)
        self.backend_port = ports["backend"]
        self.write_config()
        if self.clock:
            self.set_clock(0)

    def at(self, name):
        return os.path.join(self.dir, name)

    def set_clock(self, seconds):
        """Of the responders, by so much ahead; never half written."""
        with open(self.clock + ".new", "w", encoding="ascii") as out:
            out.write("%d\n" % seconds)
        os.replace(self.clock + ".new", self.clock)

    def write_config(self):
        where = ('port = %d;' % self.link.address if isinstance(self.link.address, int)
                 else 'socket = "%s";' % self.link.address)
        with open(self.config, "w", encoding="ascii") as out:
            out.write("""upstream = { url = "http://127.0.0.1:%d"; timeout = "3s"; connect_timeout = "1s"; };
redis = { %s dial_timeout = "1s"; read_timeout = "500ms"; write_timeout = "500ms"; };
cache = {
    enabled = %s;
    budget = "150ms";
    invalidate_timeout = "1s";
    mutation_max = "3s";
    state_dir = "%s";
};
coalesce = { wait = "3s"; lease = "1s"; };
admin = { token = "%s"; rate = 0; };
responder = { runtime_dir = "%s"; drain_timeout = "10s"; };
log = { to = "file"; file = "%s.larder"; level = "info"; };
routes = (%s);
""" % (self.backend_port, where, "true" if self.enabled else "false", self.at("state"), self.options.token,
       self.at("run"), self.log, pages.ROUTES))

    async def start(self):
        # What spawn-fcgi does: one listening socket for all, and it outlives them.
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.socket_path)
        os.chmod(self.socket_path, 0o777)
        self.listener.listen(1024)
        for _ in range(self.options.responders):
            self.start_responder()
        command = fronts.command_of(self.options.front, self)
        self.front = Child("%s of %s" % (self.options.front, self.name), command, self.log + ".out")
        await until(self.listens, "the web server of machine %s" % self.name)

    async def listens(self):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.front_port)
        except OSError:
            return False
        writer.close()
        return True

    def start_responder(self):
        command = [self.options.larder_fcgi, "-f", self.config]
        if self.clock:
            command = faked_clock(self.options.source, self.clock) + command
        self.responders.append(Child("responder of " + self.name, command, self.log + ".out",
                                     stdin=self.listener))

    async def reload(self):
        """SIGHUP, which is the end of a program that has not got as far as to catch it."""
        for child in self.responders:
            await asyncio.sleep(max(0, child.began + BEGINS_S - time.monotonic()))
        for child in self.responders:
            child.send(signal.SIGHUP)

    def mourn(self):
        """Responders that ended by themselves are taken out, and told of."""
        for child in [child for child in self.responders if child.ended() and not child.expected]:
            self.responders.remove(child)
            self.truth.machines[self.name].kills.append(self.truth.now())
            self.truth.report("died", ["a %s (pid %d), by itself at %.3f: status %d" % (
                child.name, child.pid, self.truth.now(), child.process.returncode)])
            self.start_responder()

    def kill_responder(self, child):
        self.responders.remove(child)
        kills = self.truth.machines[self.name].kills
        kills.append(self.truth.now())
        child.kill()
        kills.append(self.truth.now())

    async def stop(self):
        for child in self.responders:
            child.expected = True
            child.send(signal.SIGTERM)
        for child in self.responders:
            status = await child.term()
            if status != 0:
                self.truth.report("died", ["a %s (pid %d) ended with %s after SIGTERM" % (
                    child.name, child.pid, status)])
        self.responders = []
        if self.front is not None:
            await self.front.term()

    def children(self):
        return self.responders + ([self.front] if self.front else [])


def faked_clock(source, path):
    """The words before a command whose wall clock is off by as many seconds as stand in that file."""
    library = path + ".so"
    if not os.path.exists(library):
        subprocess.run(["cc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", library,
                        os.path.join(source, "tests/vtc/lib/clocks.c")], check=True)
    # Under the address sanitizer it is not the first library any more.
    asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
    return ["/usr/bin/env", "LD_PRELOAD=" + library, "JUMPED=" + path, "ASAN_OPTIONS=" + asan]


async def until(condition, what, patience_s=30):
    end = time.monotonic() + patience_s
    while not await condition():
        if time.monotonic() > end:
            raise RuntimeError("not within %d s: %s" % (patience_s, what))
        await asyncio.sleep(0.02)


def make_link(rng, directory, name, ports, redis):
    """Machine a speaks to Redis by a socket, b by a port."""
    address = ports["redis_b"] if name == "b" else os.path.join(directory, "redis-a.sock")
    return proxy.Proxy(rng, address, redis.socket)
