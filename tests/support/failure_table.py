"""The failure table, as rules of the fault module for one token, and a walk through a row of it under load."""

from support.blink import blink, wait_until_replaced

# What the fault is, and its rule. The rule goes some signatures later; what `times` or an event did stays done.
RUNNING = [
    ("sessions invalid", "invalidate-sessions"),
    ("CKR_SESSION_CLOSED", "return function=C_SignInit code=CKR_SESSION_CLOSED times=3"),
    ("CKR_SESSION_HANDLE_INVALID for good", "return function=C_SignInit,C_Sign code=CKR_SESSION_HANDLE_INVALID"),
    ("logged out", "logout"),
    ("CKR_USER_NOT_LOGGED_IN", "return function=C_SignInit code=CKR_USER_NOT_LOGGED_IN times=3"),
    ("object handles mean nothing", "renumber-objects"),
    ("object handles mean other keys", "swap-objects"),
    ("CKR_KEY_HANDLE_INVALID", "return function=C_SignInit code=CKR_KEY_HANDLE_INVALID times=2"),
    ("CKR_OPERATION_ACTIVE", "return function=C_SignInit code=CKR_OPERATION_ACTIVE times=2"),
    ("CKR_DEVICE_ERROR", "return function=C_SignInit,C_Sign code=CKR_DEVICE_ERROR"),
    ("CKR_DEVICE_MEMORY", "return function=C_Sign code=CKR_DEVICE_MEMORY times=2"),
    ("device removed", "removed"),
    ("token not present", "removed code=CKR_TOKEN_NOT_PRESENT"),
    ("CKR_FUNCTION_FAILED, busy", "return function=C_Sign code=CKR_FUNCTION_FAILED probability=0.5 seed=3"),
    ("CKR_GENERAL_ERROR", "return function=C_SignInit code=CKR_GENERAL_ERROR times=3"),
    ("reply lost after signing", "return function=C_Sign code=CKR_DEVICE_ERROR forwarded=yes times=1"),
    ("a vendor's code", "return function=C_Sign code=0x80000123 times=2"),
    ("C_Sign hangs", "hang function=C_Sign times=1"),
    ("C_SignInit hangs", "hang function=C_SignInit times=1"),
    ("late", "delay function=C_Sign ms=600 times=2"),
    ("crash", "crash function=C_Sign times=1"),
    ("abort", "crash function=C_SignInit signal=ABRT times=1"),
    ("signature of 63 bytes", "signature form=short times=2"),
    ("signature of 65 bytes", "signature form=long times=2"),
    ("signature in DER", "signature form=der times=2"),
    ("wrong signature", "signature form=flipped times=2"),
    ("another key's signature", "signature form=other-key times=2"),
    ("C_GetSessionInfo not supported", "return function=C_GetSessionInfo code=CKR_FUNCTION_NOT_SUPPORTED"),
]

# What a worker meets that starts on the token while the rules stand; it must sign all the same.
STARTING = [
    ("already initialised", ["return function=C_Initialize code=CKR_CRYPTOKI_ALREADY_INITIALIZED forwarded=yes"]),
    ("already logged in", ["return function=C_Login code=CKR_USER_ALREADY_LOGGED_IN forwarded=yes"]),
    ("login fails before the PIN is looked at", ["return function=C_Login code=CKR_GENERAL_ERROR times=2"]),
    ("slot numbers changed", ["slots shift=1000"]),
    ("read-only sessions refused", ["read-only-refused"]),
    ("read-only sessions refused by another code", ["read-only-refused code=CKR_SESSION_READ_ONLY"]),
    ("few sessions, CKR_SESSION_COUNT", ["session-limit max=2"]),
    ("few sessions, CKR_ARGUMENTS_BAD", ["session-limit max=2 code=CKR_ARGUMENTS_BAD"]),
    ("raw EC points", ["ec-point form=raw"]),
    ("EC points in bit strings", ["ec-point form=bit-string"]),
    ("hashing ECDSA only", ["no-mechanism mechanism=CKM_ECDSA", "hashing-ecdsa"]),
    ("network HSM, 5 ms, 4 at once", ["latency function=C_Sign ms=5 parallel=4"]),
]


def walk(site, faults, alice, token, row, rule, **options):
    """A row of RUNNING, as support.blink.blink does it."""
    if "C_GetSessionInfo" in rule:  # which is no test of whether a session lives
        faults.add(f"{rule} token={token}")
        rule = "invalidate-sessions"
    end, pid = faults.clear, faults.worker(token).pid
    if rule.startswith("hang"):  # only another process helps
        end = lambda: wait_until_replaced(faults, token, pid)
    return blink(site, faults, alice, token, lambda: faults.add(f"{rule} token={token}"), end, row, **options)
