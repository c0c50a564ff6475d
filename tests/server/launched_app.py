"""A tiny application for the tests of the launcher: ``python launched_app.py '{"port": 5005, ...}'`` serves it."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rasa_core.exceptions import RasaCoreError
from rasa_core.server.launcher import launch
from rasa_core.server.ports import LaunchError


def make(settings: dict[str, Any]) -> Callable[..., list[bytes]]:
    """Make the application; `settings` may tell it to fail in one way or another."""
    folder = Path(settings["folder"])
    failure = settings.get("failure")
    if failure == "known":
        raise RasaCoreError("There is no model in 'bot': train one with rasa-core train.")
    if failure == "bug":
        raise TypeError("long and unexpected " * settings.get("times", 1))
    if failure == "death":
        os._exit(3)
    if failure == "hang":
        (folder / "making").touch()
        threading.Event().wait()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        told: dict[str, int | None] = {"pid": os.getpid()}
        if environ["PATH_INFO"] == "/fork":
            told["child"] = os.fork()
            if not told["child"]:
                time.sleep(60)
                os._exit(0)
        if environ["PATH_INFO"] == "/process":
            threading.current_thread()  # As logging asks; Python then takes note of the thread.
            process = multiprocessing.get_context("fork").Process(target=os.getpid)
            process.start()
            process.join()
            told["code"] = process.exitcode
        if environ["PATH_INFO"] == "/wait":
            (folder / "started").write_text(str(os.getpid()))
            with (folder / "count").open("a") as count:
                count.write("x")
            while not (folder / "go").exists():
                time.sleep(0.005)
        body = json.dumps({**told, "read": len(environ["wsgi.input"].read())}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def no_thread(thread: threading.Thread) -> None:
    """Do what starting a thread does where the system has no room for one."""
    raise RuntimeError("can't start new thread")


def main(options: dict[str, Any]) -> None:
    """Serve, and print "listening" when a worker is ready."""
    if options["settings"].get("stray"):  # As the libraries of NumPy have, or a program that serves as well.
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if options["settings"].get("spawn"):
        multiprocessing.set_start_method("spawn")
    if options["settings"].get("failure") == "threads":  # No limit of processes holds for root.
        os.register_at_fork(after_in_child=lambda: setattr(threading.Thread, "start", no_thread))
    try:
        launch(**options, target="launched_app:make", on_listening=lambda: print("listening", flush=True))
    except LaunchError as error:
        sys.exit(f"error: {error}")
    if options.get("is_last"):
        print("ended", flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
