"""What a person sees: steps with what went over the wire and the verdict; colour on a terminal."""

import sys

COLOUR = sys.stdout.isatty()


def paint(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def heading(text):
    print(paint(f"== {text}", "1"), flush=True)


def progress(text):
    print(f"   {text}", flush=True)


def step(letter, text):
    print("\n" + paint(f"{letter}. {text}", "1;36"), flush=True)


def wire(arrow, text, limit=230):
    """One line of what went over the wire, shortened."""
    text = " ".join(str(text).split())
    if len(text) > limit:
        text = f"{text[:limit - 30]} ... {text[-24:]}"
    print(f"   {paint(arrow, '2')} {text}", flush=True)


def passed(text):
    print("   " + paint("PASS", "1;32") + f"  {text}", flush=True)


def failed(text):
    print("   " + paint("FAIL", "1;31") + f"  {text}", flush=True)
