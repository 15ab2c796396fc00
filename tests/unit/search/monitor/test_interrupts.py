"""Interrupts: ignored signals stay ignored, and code that installs its own handlers cannot lose a request to end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from search.cli.boundary import guarded
from search.monitor import interrupts

CODE = """
import os, signal
from search.monitor import interrupts
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interrupts.catch()
os.kill(os.getpid(), signal.SIGHUP)
print("goes on", flush=True)
for number in (signal.SIGTERM, signal.SIGTERM):
    try:
        os.kill(os.getpid(), number)
        print("lost")
    except KeyboardInterrupt:
        print("interrupted")
try:
    interrupts.check()
except KeyboardInterrupt:
    print("remembered")
"""


ENDING = """
import os, signal, sys
from search import cli
from search.cli.app import command
@command()
def signalled(debug: bool = False): os.kill(os.getpid(), signal.SIGTERM)
@command()
def ended(debug: bool = False): sys.exit(signal.SIGTERM)
before = cli.boundary.say
def say(text):
    os.kill(os.getpid(), signal.SIGTERM)  # another one while the command ends
    before(text)
cli.boundary.say = say
cli.main()
"""


@pytest.mark.parametrize("command", ["signalled", "ended"])
def test_an_interrupt_ends_a_command_with_a_message_also_if_another_follows(command: str) -> None:
    """Ray's own handler of SIGTERM ends the process by SystemExit."""
    done = subprocess.run([sys.executable, "-P", "-c", ENDING, command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")


def test_a_program_that_ends_itself_is_not_called_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="needs an argument"):
        guarded(lambda: sys.exit("needs an argument"), debug=False)
    assert capsys.readouterr().err == ""


def test_a_signal_that_is_ignored_stays_ignored_as_under_nohup() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:4] == ["goes on", "interrupted", "interrupted", "remembered"]


def test_a_foreign_handler_that_exits_becomes_an_interrupt_and_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_requested", type(interrupts._requested)())
    before = signal.getsignal(signal.SIGTERM)

    def foreign(*_: object) -> None:
        sys.exit(1)

    def start() -> None:
        with interrupts.preserved_handlers():
            signal.signal(signal.SIGTERM, foreign)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
