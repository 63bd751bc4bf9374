"""What is true, what has been promised, and whether an answer keeps to it.

The backend tells what it committed and when, the visitors what was answered and when, the faults
what was broken and when; all on one clock, in one thread. From that follows for each resource and
each machine the least version that a read may show, which depends only on when the read *began*.

    a change that was answered 2xx or 3xx
        holds from the answer on, on both machines. Where the answer says that the invalidation went
        to the journal, it holds at once on that machine and on the other from CALM_S after the
        machine has Redis back.
    one that is made behind the end of its answer, within commit_delay
        holds from SILENT_S after it was made, likewise.
    a change without an answer (broken off, timeout, process killed, visitor gone)
        holds from SILENT_S after the backend committed it and its process gave its last sign of
        life. (It is registered before.)
    a change that was answered 4xx or 5xx
        has not happened: the backend of this test never commits one.

One thing is excused, and counted: a change without an answer whose record Redis lost before it was
purged for.
"""

import json
import random
import time

MUTATION_MAX_S = 3.0
SILENT_S = 4.5  # L and X of doc/promises
SLACK_S = 1.0  # timers, and a machine that does other things
# How long what nobody knows of is dropped for: mutation_max, the time to connect and a margin (parts.py).
HOLD_S = MUTATION_MAX_S + 4.0 + 5.0
CALM_S = 5.0  # Redis was found back, and the journal replayed
LONGEST_S = 10.0  # a read, whatever happens
PURGES_KEPT = 50  # for each target; older ones have been superseded
NEAR_S = 0.25  # an error this near to a kill or a break is that one's

# What bodies are filled from: a part that is missing, moved or another's is seen.
BIG = random.Random("Larder").randbytes(1 << 19)


def filling(seed, length):
    at = seed * 7919 % (len(BIG) - length)
    return BIG[at:at + length]


class Mutation:
    def __init__(self, number, method, target, resource, machine, sent):
        self.number = number
        self.method = method
        self.target = target
        self.resource = resource
        self.machine = machine
        self.sent = sent
        self.received = None  # by the backend, for the first time
        self.commits = []  # (version, when)
        self.said = None  # when the backend had answered as it should
        self.ended = None  # answered, or given up
        self.status = None  # None: no answer
        self.word = None  # X-Cache-Invalidate
        self.why = ""
        self.left = False  # its visitor hangs up
        self.cut = False  # its body breaks off: the backend must not hear of it
        self.given_up = False  # it was answered that nobody knows the outcome

    @property
    def late(self):
        """Made behind the end of its answer."""
        return self.resource.startswith("late:")

    @property
    def acknowledged(self):
        return self.status is not None and 200 <= self.status < 400


class Fetch:
    """One answer of the backend to a GET."""

    def __init__(self, number, target, user, began):
        self.number = number
        self.target = target
        self.user = user
        self.began = began
        self.shows = {}
        self.private = None  # why it is for one visitor only
        self.asked = set()  # who got it


class Purge:
    """By the purge interface."""

    def __init__(self, words, soft, machine, asked):
        self.words = words
        self.soft = soft
        self.machine = machine
        self.asked = asked
        self.ended = None
        self.word = None  # outcome: done or journal

    def __str__(self):
        return "the %spurge of %s via %s, asked for at %.3f, answered \"%s\" at %.3f" % (
            "soft " if self.soft else "", self.words, self.machine, self.asked, self.word,
            self.ended)


class Fault:
    def __init__(self, kind, detail, begin):
        self.kind = kind
        self.detail = detail
        self.begin = begin
        self.end = None
        self.loses = None

    def meets(self, begin, end):
        return self.begin <= end and (self.end is None or self.end >= begin)

    def __str__(self):
        return "fault %s (%s) from %.3f to %s" % (
            self.kind, self.detail, self.begin, "now" if self.end is None else "%.3f" % self.end)


class Machine:
    """What befell a machine that matters for promises."""

    def __init__(self, name):
        self.name = name
        self.cut_off = []  # faults during which Redis may have been out of reach
        self.kills = []  # when a responder was killed


class Read:
    def __init__(self, page, machine, visitor, began):
        self.page = page
        self.machine = machine
        self.visitor = visitor
        self.began = began
        self.ended = None
        self.fields = []
        self.method = "GET"


class Truth:
    def __init__(self):
        self.epoch = time.monotonic()
        self.versions = {}
        self.mutations = []
        self.promises = {}  # resource: [(version, Mutation)], ascending
        self.fetches = {}
        self.machines = {name: Machine(name) for name in "ab"}
        self.losses = []  # faults during which Redis may have forgotten its register
        self.faults = []
        self.broken = {}  # target: when the backend broke off an answer to it
        self.down = []  # faults during which the backend was away
        self.purges = {}  # target: the purges that dropped it
        self.violations = []
        self.excused = set()
        self.slowest = 0
        self.counts = {}

    def now(self):
        return time.monotonic() - self.epoch

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    # ------------------------------------------------------------ what happens

    def begin_mutation(self, method, target, resource, machine):
        mutation = Mutation(len(self.mutations), method, target, resource, machine, self.now())
        self.mutations.append(mutation)
        return mutation

    def commit(self, mutation):
        version = self.versions.get(mutation.resource, 0) + 1
        self.versions[mutation.resource] = version
        mutation.commits.append((version, self.now()))
        self.promises.setdefault(mutation.resource, []).append((version, mutation))
        self.count("commits")
        return version

    def end_mutation(self, mutation, status=None, word=None, why=""):
        mutation.ended, mutation.status, mutation.word = self.now(), status, word
        mutation.why = why
        self.count("mutations")
        self.count("mutations " + ("acknowledged" if mutation.acknowledged else
                                   "without an answer" if status is None else "refused"))
        if word:
            self.count("X-Cache-Invalidate: " + word)

    def begin_fetch(self, target, user):
        fetch = Fetch(len(self.fetches), target, user, self.now())
        self.fetches[fetch.number] = fetch
        return fetch

    def begin_fault(self, kind, detail="", cut_off=(), loses=None):
        """`cut_off`: machines that may not reach Redis meanwhile; `loses`: what Redis forgets."""
        fault = Fault(kind, detail, self.now())
        self.faults.append(fault)
        self.count("fault " + kind)
        for name in cut_off:
            self.machines[name].cut_off.append(fault)
        if loses:
            fault.loses = loses
            self.losses.append(fault)
        return fault

    def end_fault(self, fault):
        fault.end = self.now()

    def purged(self, targets, purge):
        """It was answered just now: done, or in the journal."""
        purge.ended = self.now()
        self.count("purges" + (", soft" if purge.soft else ""))
        self.count("purges: " + purge.word)
        for target in targets:
            purges = self.purges.setdefault(target, [])
            purges.append(purge)
            del purges[:-PURGES_KEPT]

    # ------------------------------------------------------- what it promises

    def calm_after(self, name, t):
        """When that machine has had Redis for CALM_S in one piece, at or after t; None: not yet."""
        for fault in self.machines[name].cut_off:
            if fault.begin >= t + CALM_S:
                break
            if fault.end is None:
                return None
            t = max(t, fault.end)
        return t + CALM_S

    def lost(self, mutation, committed):
        """May the record of a change without an answer have been lost, before it was purged for?"""
        return any(fault.meets(mutation.received - NEAR_S, self.silent_until(mutation, committed))
                   for fault in self.losses)

    def silent_until(self, mutation, committed):
        """When it was purged for at the latest. Its process lives until it gives the backend up."""
        lived = mutation.ended
        if not mutation.given_up:
            lived = max(lived, mutation.received + MUTATION_MAX_S)
        return max(committed, lived) + SILENT_S + SLACK_S

    def due(self, mutation, version, machine):
        """From when on reads on that machine must show that version; None: not for now."""
        if mutation.ended is None:
            return None
        if mutation.status is not None and not mutation.acknowledged:
            return None
        if mutation.acknowledged and mutation.commits[-1][0] == version and not mutation.late:
            if machine == mutation.machine or mutation.word != "journal":
                return mutation.ended
            return self.calm_after(mutation.machine, mutation.ended)
        # Only the answer would have named the group.
        if mutation.resource.startswith("group:"):
            return None
        committed = dict(mutation.commits)[version]
        if self.lost(mutation, committed):
            self.excused.add((mutation.number, version))
            return None
        due = self.silent_until(mutation, committed)
        if machine == mutation.machine:
            return due
        # Nobody has told us whether it went to the journal.
        if any(fault.meets(mutation.received - 1, due)
               for fault in self.machines[mutation.machine].cut_off):
            return self.calm_after(mutation.machine, due)
        return due

    def floor(self, resource, machine, t):
        """(version, mutation): the least that a read which began at t may show."""
        promises = self.promises.get(resource, [])
        for version, mutation in reversed(promises):
            due = self.due(mutation, version, machine)
            if due is not None and due <= t:
                return version, mutation
        return 0, None

    def forget(self):
        """What can matter no more, so that a long run does not get slower."""
        t = self.now() - 60
        for resource, promises in self.promises.items():
            if len(promises) > 200:
                least = min(self.floor(resource, name, t)[0] for name in self.machines)
                self.promises[resource] = [p for p in promises if p[0] >= least]
        for target in self.broken:
            self.broken[target] = [when for when in self.broken[target] if when > t]

    # ------------------------------------------------------------ judgement

    def judge_shows(self, read, shows, fetch, what="shows"):
        for resource in read.page.needs:
            shown = shows.get(resource)
            if shown is None:
                return self.violate("mixed", read, "%s nothing of %s" % (what, resource), fetch)
            if shown > self.versions.get(resource, 0):
                return self.violate("mixed", read, "%s %s=%d, which never was" %
                                    (what, resource, shown), fetch)
            least, mutation = self.floor(resource, read.machine, read.began)
            if shown < least:
                return self.violate("stale", read, "%s %s=%d, not %d or later" %
                                    (what, resource, shown, least), fetch, mutation)
        return self.judge_purges(read, fetch)

    def judge_purges(self, read, fetch):
        """Nothing whose fetch began before; after a soft one, not as if it were fresh."""
        for purge in self.purges.get(read.page.target, []):
            if fetch is None or fetch.began >= purge.asked:
                continue
            due = purge.ended
            if purge.word == "journal" and purge.machine != read.machine:
                due = self.calm_after(purge.machine, purge.ended)
            if due is None or due > read.began:
                continue
            if not purge.soft or ("X-Cache", "HIT") in read.fields:
                return self.violate("purged", read, "was fetched before %s" % purge, fetch)
        return None

    def judge(self, read, answer):
        """A whole answer, or Broken, to a read that has just ended."""
        read.ended = self.now()
        read.fields = getattr(answer, "fields", [])
        self.count("reads")
        self.slowest = max(self.slowest, read.ended - read.began)
        if read.ended - read.began > LONGEST_S:
            return self.violate("slow", read, "took %.1f s" % (read.ended - read.began))
        if isinstance(answer, Exception):
            return self.judge_error(read, str(answer))
        if answer.get("X-Cache"):
            self.count("X-Cache: " + answer.get("X-Cache"))
        if "; collapsed" in (answer.get("Cache-Status") or ""):
            self.count("answers of somebody else's fetch")
        if not answer.whole:
            return self.judge_error(read, answer.words)
        if answer.get("X-Torture-Error"):
            self.count("errors of the backend's")
            if answer.get("X-Cache") in ("HIT", "STALE", "REVALIDATED"):
                return self.violate("error", read, "an error of the backend's came from the cache")
            return None
        if answer.status == 304:
            return self.judge_304(read, answer)
        if answer.status not in (200, 206):
            return self.judge_error(read, "status %d" % answer.status)
        if read.page.family == "file":
            return self.judge_file(read, answer)
        return self.judge_page(read, answer)

    def disturbed(self, machine, began, ended):
        """Why that machine may have failed a request at that time, or None."""
        if any(began - NEAR_S <= kill <= ended + NEAR_S for kill in self.machines[machine].kills):
            return "responder killed"
        if any(fault.meets(began - NEAR_S, ended + NEAR_S) for fault in self.down):
            return "the backend was away"
        return None

    def excuse(self, read):
        for when in self.broken.get(read.page.target, []):
            if read.began - NEAR_S <= when <= read.ended + NEAR_S:
                return "the backend broke off"
        return self.disturbed(read.machine, read.began, read.ended)

    def judge_error(self, read, words):
        why = self.excuse(read)
        if why is None:
            return self.violate("error", read, words + ", and nothing was wrong with backend "
                                "or responder")
        self.count("errors, " + why)
        return None

    def judge_304(self, read, answer):
        tag = answer.get("ETag") or ""
        if read.page.family == "file":
            name, _, version = tag.strip('"').partition(".")
            ours = name == read.page.needs[0].replace(":", "-")
            shows = {read.page.needs[0]: int(version)} if version.isdigit() else None
        else:
            shows = shows_of_tag(tag)
            ours = tag.startswith('W/"%s|%s|%s|' % (read.page.target, read.page.user or "",
                                                    read.page.language or ""))
        if shows is None or not ours:
            return self.violate("mixed", read, "304 with ETag %r" % tag)
        return self.judge_shows(read, shows, None, "a 304 says")

    def judge_page(self, read, answer):
        line, _, fill = answer.body.partition(b"\n")
        try:
            said = json.loads(line)
            number, length = said["fetch"], said["fill"]
            fetch = self.fetches[number]
        except (ValueError, KeyError, TypeError):
            return self.violate("corrupt", read, "begins with %r" % answer.body[:60])
        if len(fill) != length:
            return self.violate("corrupt", read, "has %d bytes where %d belong" %
                                (len(fill), length), fetch)
        if fill != filling(number, length):
            return self.violate("corrupt", read, "has bytes of something else", fetch)
        if said["page"] != read.page.target:
            return self.violate("mixed", read, "is the page " + said["page"], fetch)
        if said["user"] != read.page.user:
            return self.violate("another's", read, "is the page of " + str(said["user"]), fetch)
        if said["language"] != read.page.language:
            return self.violate("mixed", read, "is in " + str(said["language"]), fetch)
        cookies = answer.all("Set-Cookie")
        if cookies and cookies != ["fetch=%d" % number]:
            return self.violate("another's", read, "sets the cookie %s" % cookies, fetch)
        if fetch.private:
            fetch.asked.add((read.visitor, read.began))
            if len(fetch.asked) > 1:
                return self.violate("another's", read, "is %s, and was answered to another "
                                    "request as well" % fetch.private, fetch)
        return self.judge_shows(read, said["shows"], fetch)

    def judge_file(self, read, answer):
        """The bytes of one version, or a range of them, and nothing else."""
        resource = read.page.needs[0]
        body, begin, total = answer.body, 0, None
        if answer.status == 206:
            said = answer.get("Content-Range") or ""
            try:
                span, total = said.removeprefix("bytes ").split("/")
                begin, end = (int(n) for n in span.split("-"))
                total = int(total)
            except ValueError:
                return self.violate("corrupt", read, "Content-Range is %r" % said)
            if end - begin + 1 != len(body):
                return self.violate("corrupt", read, "%s with %d bytes" % (said, len(body)))
        for version in range(self.versions.get(resource, 0), -1, -1):
            whole = file_of(resource, version)
            if total is not None and total != len(whole):
                continue
            if body == (whole if total is None else whole[begin:begin + len(body)]):
                if answer.get("ETag") != file_tag(resource, version):
                    return self.violate("mixed", read, "has the bytes of version %d and ETag %s" %
                                        (version, answer.get("ETag")))
                return self.judge_shows(read, {resource: version}, None)
        return self.violate("corrupt", read, "%d bytes that no version has" % len(body))

    def judge_request(self, mutation, whole):
        """The backend has the head of a mutation, and all of its body or not."""
        if mutation.cut:
            self.report("cut", [self.story_of(mutation) if mutation.ended is not None else
                                "%s %s via %s (mutation %d)" % (
                                    mutation.method, mutation.target, mutation.machine,
                                    mutation.number),
                                "  its body was broken off, and the backend got %s of it at %.3f" %
                                ("what looks like all" if whole else "a part", self.now())])

    def judge_mutation(self, mutation):
        """Answered, once, if the backend answered; done if it was answered so."""
        if mutation.acknowledged and not mutation.commits and not mutation.late:
            words = "was answered as if it were done"
        elif len(mutation.commits) > 1 and not self.disturbed(mutation.machine, mutation.sent,
                                                              mutation.ended):
            words = "was done more than once"
        elif mutation.status is None and mutation.said is not None and \
                not self.disturbed(mutation.machine, mutation.sent, mutation.ended):
            words = "has no answer though the backend gave one"
        else:
            return
        self.report("error mutation", ["%s: %s" % (self.story_of(mutation), words)] +
                    self.faults_near(mutation.sent - 3, mutation.ended + 0.5))

    def judge_register(self, fields, since):
        """What is left in the register of mutations, though all has been answered since then."""
        unknown = [mutation for mutation in self.mutations if mutation.sent >= since and
                   mutation.said is None and mutation.received is not None]
        if unknown:
            self.count("registers that say nothing: a change had no answer")
        elif fields:
            left = [self.story_of(mutation) for mutation in self.mutations
                    if mutation.left and mutation.sent >= since]
            self.report("register", ["the register of mutations has %s at %.3f, though the backend has "
                                     "answered each since %.3f" % (fields, self.now(), since)] + left)

    def judge_purge(self, purge, words):
        """One that has not succeeded."""
        purge.ended = self.now()
        self.count("purges that failed")
        if not self.disturbed(purge.machine, purge.asked, purge.ended):
            self.report("error purge", ["%s: %s" % (purge, words)] +
                        self.faults_near(purge.asked - 3, purge.ended + 0.5))

    # ---------------------------------------------------------------- stories

    def violate(self, kind, read, words, fetch=None, mutation=None):
        lines = ["%s %s via %s by visitor %s, asked at %.3f, answered at %.3f: %s" %
                 (read.method, read.page, read.machine, read.visitor, read.began,
                  read.ended, words)]
        said = ["%s: %s" % field for field in read.fields
                if field[0].lower() in ("x-cache", "cache-status", "age", "etag", "x-cache-invalidate")]
        lines.append("  the answer: " + ("; ".join(said) or "without a word of Larder's"))
        since = read.began
        if fetch is not None:
            lines.append("  fetch %d for %s, begun at %.3f, showed %s" %
                         (fetch.number, fetch.target, fetch.began, fetch.shows))
            since = min(since, fetch.began)
        if mutation is not None:
            lines.append("  promised by %s" % self.story_of(mutation))
            since = min(since, mutation.sent)
        self.report(kind + " " + read.page.family,
                    lines + self.faults_near(since - 3, read.ended + 0.5))
        return kind

    def faults_near(self, begin, end):
        near = ["  %s" % fault for fault in self.faults if fault.meets(begin, end)]
        if len(near) > 16:
            near[8:-8] = ["  ..."]
        return near

    def report(self, kind, lines):
        self.count("violations, " + kind)
        self.violations.append((kind, "\n".join(lines)))

    def story_of(self, mutation):
        story = "%s %s via %s (mutation %d), sent at %.3f" % (
            mutation.method, mutation.target, mutation.machine, mutation.number, mutation.sent)
        if mutation.received is not None:
            story += ", with the backend at %.3f" % mutation.received
        for version, when in mutation.commits:
            story += ", committed as %d at %.3f" % (version, when)
        if mutation.status is None:
            return story + ", without an answer (%s) at %.3f; over at %.3f" % (
                mutation.why, mutation.ended, (mutation.received or 0) + MUTATION_MAX_S)
        return story + ", answered %d at %.3f, X-Cache-Invalidate: %s" % (
            mutation.status, mutation.ended, mutation.word)


def tag_of(target, user, language, shows):
    """A weak ETag that says what it stands for."""
    shown = ",".join("%s=%d" % pair for pair in sorted(shows.items()))
    return 'W/"%s|%s|%s|%s"' % (target, user or "", language or "", shown)


def shows_of_tag(tag):
    parts = tag.removeprefix("W/").strip('"').split("|")
    if len(parts) != 4:
        return None
    try:
        return {name: int(n) for name, n in (pair.split("=") for pair in parts[3].split(","))}
    except ValueError:
        return None


def file_of(resource, version):
    number = int(resource.split(":")[1])
    return filling(version * 10 + number, 3000 + 40000 * number + version % 7)


def file_tag(resource, version):
    return '"%s.%d"' % (resource.replace(":", "-"), version)
