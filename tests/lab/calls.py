"""Calls between a SIPp caller and a SIPp callee, taken as one thing."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TypedDict, Unpack

from .ports import Address
from .process import TimedOutError, wait_until
from .sipp import Result, Sipp

# Kind of call: the caller's scenario and the callee's; a caller that is never put through has no callee.
KINDS: MappingProxyType[str, tuple[str, str | None]] = MappingProxyType(
    {
        "plain": ("uac_call", "uas_call"),
        "held": ("uac_held", "uas_call"),
        "delayed_offer": ("uac_delayed_offer", "uas_delayed_offer"),
        "early_media": ("uac_early_media", "uas_early_media"),
        "bye_from_callee": ("uac_bye_from_callee", "uas_hangs_up"),
        "cancel": ("uac_cancel", "uas_cancelled"),
        "busy": ("uac_busy", "uas_busy"),
        "unavailable": ("uac_unavailable", None),
    }
)


class CallsFailedError(AssertionError):
    """At least one call did not go as its scenario says."""


@dataclass(frozen=True)
class Outcome:
    """What both ends say about their calls, and the calls' Call-IDs."""

    calls: int
    call_ids: tuple[str, ...]
    caller: Result
    callee: Result | None

    @property
    def failed(self) -> int:
        """Calls that failed at either end, or were never made."""
        at_caller = max(self.caller.failed, self.calls - self.caller.successful)
        at_callee = 0 if self.callee is None else max(self.callee.failed, self.calls - self.callee.successful)
        return max(at_caller, at_callee)

    def assert_ok(self) -> None:
        """Raises CallsFailedError with SIPp's own words unless every call went well at both ends."""
        ends = [end for end in (self.caller, self.callee) if end is not None]
        if self.failed or not all(end.ok for end in ends):
            raise CallsFailedError("\n".join(str(end) for end in ends))


class CallOptions(TypedDict, total=False):
    """How calls are made."""

    calls: int | None  # how many (default 1), or None for as many as come until `finish`
    rate: float  # calls per second, default 10
    # How long a call is up, in milliseconds, default 100; `held` calls wait for a word instead. Without a pause the BYE
    # may overtake the ACK: the proxy's workers take both at once.
    pause_ms: int
    # How long the callee rings, in milliseconds, default 50 (`plain` and `held`). For the same reason: SIPp does not
    # forgive a 180 after the 200.
    ring_ms: int
    registered: bool  # register the callee and call `sip:callee@PROXY`, instead of the callee's own address
    timeout: float  # seconds for all of them, default 60


class Calls:
    """Calls of one kind through the proxy; Call-IDs begin with `name`."""

    def __init__(self, kind: str, folder: Path, name: str, proxy: Address, **options: Unpack[CallOptions]) -> None:
        caller, callee = KINDS[kind]
        calls = options.get("calls", 1)
        pause_ms, timeout = options.get("pause_ms", 100), options.get("timeout", 60.0)
        self.kind = kind
        self.callee: Sipp | None = None
        if callee is not None:
            self.callee = Sipp(
                callee,
                folder,
                name=name,
                calls=calls,
                host=proxy.host,
                pause_ms=pause_ms,
                ring_ms=options.get("ring_ms", 50) if callee == "uas_call" else None,
                timeout=timeout,
            )
        nobody = Address(proxy.host, 9)
        self._register: Sipp | None = None
        if options.get("registered") and self.callee:
            self._register = Sipp(
                "uac_register",
                folder,
                name=f"register-{name}",
                calls=1,
                host=proxy.host,
                proxy=proxy,
                callee=self.callee.address,
            )
        self.caller = Sipp(
            caller,
            folder,
            name=name,
            calls=calls,
            host=proxy.host,
            proxy=proxy,
            callee=proxy if self._register else self.callee.address if self.callee else nobody,
            rate=options.get("rate", 10.0),
            pause_ms=pause_ms,
            timeout=timeout,
        )

    @property
    def call_ids(self) -> list[str]:
        return self.caller.call_ids

    @property
    def are_running(self) -> bool:
        return self.caller.process.is_running

    def start(self) -> None:
        if self.callee:
            self.callee.start()
        if self._register:
            self._register.start()
            registered = self._register.wait()
            if not registered.ok:
                raise CallsFailedError(str(registered))
        self.caller.start()

    def wait_established(self, timeout: float = 20.0) -> None:
        """Wait until the callee has the ACK of every call, so that no transaction is open (`plain` and `held`)."""
        assert self.callee is not None
        callee, calls = self.callee, self._number()
        wait_until(lambda: callee.established() >= calls or not self.are_running, "all calls are established", timeout)
        if callee.established() < calls:
            raise CallsFailedError(f"{callee.established()} of {calls} calls are established\n{self.caller.result()}")

    def reinvite(self) -> None:
        """Make every held call send a re-INVITE, and wait until each has been answered and acknowledged."""
        assert self.callee is not None
        callee = self.callee
        before = callee.reinvited()
        self.caller.say("REINVITE")
        expected = before + self._number()
        wait_until(lambda: callee.reinvited() >= expected or not self.are_running, "all re-INVITEs are acknowledged")

    def hang_up(self) -> Outcome:
        """Make every held call send its BYE, and wait for the end."""
        self.caller.say("HANGUP")
        return self.wait()

    def wait(self) -> Outcome:
        """Wait until both ends are done; a callee is not waited for when its caller failed."""
        caller = self.caller.wait()
        callee = None
        if self.callee:
            callee = self.callee.wait() if caller.ok else self.callee.result()
            self.callee.stop()
        calls = caller.created if self.caller.calls is None else self.caller.calls
        return Outcome(calls, tuple(self.call_ids), caller, callee)

    def finish(self) -> Outcome:
        """Start no more calls, let those that are up come to their end, and wait for it."""
        self.caller.finish()
        self.caller.wait()
        if self.callee:
            self.callee.finish()
            # Its counts are whole when it ends, which calls that failed at the caller may keep it from.
            with contextlib.suppress(TimedOutError):
                self.callee.process.wait(5)
        return self.wait()

    def stop(self) -> None:
        for end in (self.caller, self._register, self.callee):
            if end is not None:
                end.stop()

    def __enter__(self) -> "Calls":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _number(self) -> int:
        if self.caller.calls is None:
            raise ValueError("an open number of calls cannot be waited for")
        return self.caller.calls
