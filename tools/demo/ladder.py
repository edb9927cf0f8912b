"""The ladder of a call: who sent what to whom, from the logs of the user agents and of the AS."""

import datetime
import re

COLUMNS = ("UE-A", "AS A", "avseald", "AS B", "UE-B")
WIDTH = 30


def of_agent(agent, own, peer):
    """(time, from, to, what) of each SIP message that a SIPp sent or got."""
    entry = re.compile(r"-{20,} (\S+ \S+)\n\w+ message (sent|received) [^\n]*\n\n([^\r\n]*)(.*?)(?=\n-{20,}|\Z)", re.S)
    for when, direction, first, rest in entry.findall(agent.messages.read_text(errors="replace")):
        at = datetime.datetime.fromisoformat(when).timestamp()
        yield (at, own, peer, what(first, rest)) if direction == "sent" else (at, peer, own, what(first, rest))


def what(first, rest):
    """INVITE with what matters of it, or a status."""
    if first.startswith("SIP/2.0"):
        name = first.removeprefix("SIP/2.0 ")
        return name + (" (avatar rejected)" if re.search("^m=application 0 ", rest, re.M) else "")
    marks = [mark for mark, pattern in (("Identity", r"^Identity:"), ("avatar", r"^a=avatar:")) if re.search(pattern, rest, re.M)]
    return " ".join([first.split()[0], *marks])


def of_as(server, own, forward, back):
    """What an AS asked avseald, and what it forwarded to the other AS."""
    text = server.log.read_text(errors="replace")
    for at, path, code in re.findall(r"event=asked time=(\S+) path=(\S+) node=\d code=(\d+)", text):
        name = path.rsplit("/", 1)[1] if path.startswith("/stir/") else "calls"
        yield float(at), own, "avseald", f"{name} {code}"
    for at, message in re.findall(r'event=sip time=(\S+) forwards="([^"]*)"', text):
        to = back if message[0].isdigit() else forward
        if to:
            yield float(at), own, to, message


def events(caller, originating, terminating, callee):
    return sorted([*of_agent(caller, "UE-A", "AS A"), *of_as(originating, "AS A", "AS B", None), *of_as(terminating, "AS B", None, "AS A"),
                   *of_agent(callee, "UE-B", "AS B")])


def draw(found):
    """Lines of a picture, a lifeline per column."""
    start = found[0][0]
    yield "  seconds  " + "".join(name.ljust(WIDTH) for name in COLUMNS).rstrip()
    for at, sender, receiver, text in found:
        left, right = sorted((COLUMNS.index(sender), COLUMNS.index(receiver)))
        span = (right - left) * WIDTH - 1
        label = f" {text[:span - 6]} "
        arrow = label.center(span - 1, "─") + "▶" if COLUMNS[left] == sender else "◀" + label.center(span - 1, "─")
        row = [("│" if column % WIDTH == 0 else " ") for column in range((len(COLUMNS) - 1) * WIDTH + 1)]
        row[left * WIDTH + 1:right * WIDTH] = arrow
        yield f"{at - start:9.3f}  " + "".join(row)
