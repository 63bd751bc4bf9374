"""The site under torture: which pages there are, what each one shows, what changes it.

A *resource* is a counter in the backend; a change makes it one higher. A *page* shows the counters
of the resources that it depends on, so that a page that is too old gives itself away. Each family
of pages takes another way through Larder:

    item    dropped by the URL of the mutation alone; half of them are validated with ETags
    part    likewise, and drops every list with a pattern
    list    shows several parts
    sheet   several URLs with one tag of the route's
    mine    per user; a user's change drops all pages of that user
    vary    three languages under one URL
    mixed   sometimes for all, sometimes private, with a cookie, or not to be stored
    file    the same bytes for the same version: strong ETag, ranges
    late    changed behind the end of the answer, within the route's commit_delay
    tagged  tags that only the response knows (Cache-Groups); dropped by what the answer to a
            mutation of something else says (Cache-Group-Invalidation)
"""

import bisect
import itertools

ITEMS, PARTS, LISTS, SHEETS, VARIES, MIXED, FILES, TAGGED, GROUPS = 24, 9, 3, 6, 6, 8, 4, 8, 4
SHEET_PAGES = 3
LATES = 4
LATE_S = 1  # commit_delay
USERS = ["u%d" % n for n in range(6)]
MINE = 3
LANGUAGES = ["en", "de", "fr"]

ROUTES = """
    { path = "/item/{id}"; resource = "item"; ttl = "10m"; stale_while_revalidate = "2s"; },
    { path = "/part/{id}"; resource = "part"; ttl = "10m"; invalidate = ["list:*"]; },
    { path = "/list/{id}"; resource = "list"; ttl = "10m"; },
    { path = "/sheet/{id}"; resource = "sheet"; ttl = "10m"; tags = ["sheet:{id}"]; },
    { path = "/mine/{id}"; resource = "mine"; ttl = "10m"; user = "cookie:uid";
      invalidate = ["mine:user:{user}:*"]; },
    { path = "/vary/{id}"; resource = "vary"; ttl = "10m"; },
    { path = "/mixed/{id}"; resource = "mixed"; ttl = "10m"; },
    { path = "/file/{id}"; resource = "file"; ttl = "10m"; },
    { path = "/late/{id}"; ttl = "10m"; commit_delay = "%ds"; },
    { path = "/tagged/{id}"; ttl = "10m"; directory_tags = 2; },
    { path = "/touch/{id}"; methods = ["POST"]; }
""" % LATE_S


class Page:
    def __init__(self, family, target, needs, user=None, language=None):
        self.family = family
        self.target = target
        self.needs = needs  # names of resources
        self.user = user
        self.language = language

    def __str__(self):
        who = " as " + self.user if self.user else ""
        return self.target + who + (" in " + self.language if self.language else "")


class Change:
    def __init__(self, methods, target, resource, user=None):
        self.methods = methods
        self.target = target
        self.resource = resource
        self.user = user


def session_of(user):
    """What the backend knows a user by; the name in the cookie `uid` is only the client's word."""
    return "secret-of-" + user


def needs_of(path, user):
    """The resources that a path shows, as the backend and the checker both understand it."""
    family, number = path.strip("/").split("/")
    number = int(number)
    if family == "list":
        return ["part:%d" % n for n in range(PARTS) if n % LISTS == number]
    if family == "mine":
        return ["user:%s" % user]
    if family == "tagged":
        return ["group:%d" % (number % GROUPS)]
    return ["%s:%d" % (family, number)]


def all_pages():
    """Pages with the weight that visitors give them."""
    found = []

    def add(weight, target, user=None, language=None):
        path = target.split("?")[0]
        family = path.split("/")[1]
        found.append((weight, Page(family, target, needs_of(path, user), user, language)))

    for n in range(ITEMS):
        add(40 / (n + 3), "/item/%d" % n)
    for n in range(PARTS):
        add(1, "/part/%d" % n)
    for n in range(LISTS):
        add(3, "/list/%d" % n)
    for n, page in itertools.product(range(SHEETS), range(SHEET_PAGES)):
        add(0.7, "/sheet/%d?page=%d" % (n, page))
    for user, n in itertools.product(USERS, range(MINE)):
        add(0.7, "/mine/%d" % n, user=user)
    for n, language in itertools.product(range(VARIES), LANGUAGES):
        add(0.6, "/vary/%d" % n, language=language)
    for n in range(MIXED):
        add(1, "/mixed/%d" % n)
    for n in range(FILES):
        add(1.5, "/file/%d" % n)
    for n in range(LATES):
        add(1.5, "/late/%d" % n)
    for n in range(TAGGED):
        add(1.8, "/tagged/%d" % n)
    return found


def all_changes():
    found = []
    for family, count, weight in (("item", ITEMS, 1), ("part", PARTS, 0.4), ("sheet", SHEETS, 1),
                                  ("vary", VARIES, 1), ("mixed", MIXED, 0.5), ("file", FILES, 1),
                                  ("late", LATES, 1)):
        for n in range(count):
            page = "/%s/%d" % (family, n)
            found.append((weight, Change(("POST", "PUT", "DELETE", "PATCH"), page,
                                         "%s:%d" % (family, n))))
    for user in USERS:
        found.append((1, Change(("POST", "PUT"), "/mine/0", "user:" + user, user)))
    for n in range(GROUPS):
        found.append((3, Change(("POST",), "/touch/%d" % n, "group:%d" % n)))
    return found


def some_purge(rng, pages):
    """What to send to the purge interface, and the targets that it drops."""
    kind = rng.choice(("urls", "urls", "tags", "tags", "groups", "prefix", "patterns"))
    soft = False
    if kind == "urls":
        what = sorted({rng.choice(pages).target for _ in range(rng.choice((1, 1, 3)))})
        targets = what
    elif kind == "tags":
        # sheet is the route's tag, page the response's own.
        name = rng.choice(("sheet:%d" % rng.randrange(SHEETS), "page-%d" % rng.randrange(TAGGED)))
        number = name[6:] if name.startswith("sheet") else name[5:]
        path = ("/sheet/" if name.startswith("sheet") else "/tagged/") + number
        what, targets = [name], [p.target for p in pages if p.target.split("?")[0] == path]
        # Pages that are never validated: one that is fresh again has been fetched.
        soft = rng.random() < 0.5
    elif kind == "groups":
        number = rng.randrange(GROUPS)
        what = ["group-%d" % number]
        targets = [p.target for p in pages if p.needs == ["group:%d" % number]]
        soft = rng.random() < 0.5
    elif kind == "prefix":
        what, targets = "/tagged/", [p.target for p in pages if p.family == "tagged"]
    else:
        what, targets = ["vary:*"], [p.target for p in pages if p.family == "vary"]
    return {kind: what, "soft": soft}, sorted(set(targets))


class Weighted:
    """A choice among things with weights, by one random number."""

    def __init__(self, pairs):
        self.things = [thing for _, thing in pairs]
        self.sums = list(itertools.accumulate(weight for weight, _ in pairs))

    def choose(self, rng):
        at = bisect.bisect(self.sums, rng.random() * self.sums[-1])
        return self.things[min(at, len(self.things) - 1)]
